import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { execaSync } from "execa";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { afterAll, describe, expect, test } from "vitest";
import { macAddress } from "../../../src/core/names.ts";
import { GuestAgent } from "../../../src/guest/agent.ts";
import { quoteForVirsh } from "../../../src/libvirt/virsh-line.ts";
import { hostileAnswers, hostileTexts, hostileValues } from "./hostile-values.ts";
import {
  type Answers,
  expectHarmlessText,
  lease,
  nic,
  type Outcome,
  self,
  text,
  wayToReadiness,
  well,
} from "./hostile-world.ts";
import { aHostKey, aNode } from "./samples.ts";

const dir = mkdtempSync(path.join(tmpdir(), "hostile-"));
const knownHosts = path.join(dir, "known_hosts");
afterAll(() => rmSync(dir, { recursive: true }));

/** Every answer of a guest that the product reads, each with the value in its place. */
const fields: Record<string, (value: unknown) => Partial<Answers>> = {
  ping: (ping) => ({ ping }),
  "a program's pid": (pid) => ({ pid }),
  "whether it has exited": (exited) => ({ status: { exited } }),
  "its exit code": (exitcode) => ({ status: { exitcode } }),
  "its signal": (signal) => ({ status: { exitcode: undefined, signal } }),
  "its output": (data) => ({ status: { "out-data": data } }),
  "its errors": (data) => ({ status: { "err-data": data } }),
  "all of its end": (end) => ({
    status: Array.isArray(end) || typeof end !== "object" ? { exited: end } : { exited: true, ...end },
  }),
  "the interfaces": (interfaces) => ({ interfaces }),
  "an interface": (one) => ({ interfaces: [one] }),
  "an interface's name": (name) => ({ interfaces: [nic({ name })] }),
  "an interface's MAC address": (mac) => ({ interfaces: [nic({ "hardware-address": mac })] }),
  "an interface's addresses": (addresses) => ({ interfaces: [nic({ "ip-addresses": addresses })] }),
  "an interface's address": (ip) => ({
    interfaces: [nic({ "ip-addresses": [{ "ip-address": ip, "ip-address-type": "ipv4" }] })],
  }),
  "the kind of an interface's address": (kind) => ({
    interfaces: [nic({ "ip-addresses": [{ "ip-address": "10.77.0.5", "ip-address-type": kind }] })],
  }),
  "cloud-init's report": (cloudInit) => ({ cloudInit }),
  "cloud-init's status": (status) => ({ cloudInit: { status } }),
  "cloud-init's errors": (errors) => ({ cloudInit: { status: "error", errors } }),
  "cloud-init's error": (error) => ({ cloudInit: { status: "error", errors: [error] } }),
  "cloud-init's recoverable errors": (errors) => ({ cloudInit: { status: "done", recoverable_errors: errors } }),
  "cloud-init's recoverable error": (error) => ({
    cloudInit: { status: "done", recoverable_errors: { ERROR: [error] } },
  }),
  "a check's reason": (stdout) => ({ check: { exitcode: 1, stdout } }),
  "a check's words when all is well": (stdout) => ({ check: { exitcode: 0, stdout } }),
  "the host keys": (hostKeys) => ({ hostKeys }),
  "a host key's type": (type) => ({ hostKeys: `${text(type)} AAAA\n${aHostKey()}` }),
  "a host key's base64": (blob) => ({ hostKeys: `ssh-ed25519 ${text(blob)}` }),
  "a host key's comment": (comment) => ({ hostKeys: `${aHostKey()} ${text(comment)}` }),
  "the guest's log": (log) => ({ log, check: { exitcode: 1, stdout: "no" } }),
  "the console's log": (console) => ({ console, errors: { "guest-exec": "gone" } }),
  "tailscale's status": (tailscale) => ({ tailscale }),
  "tailscale's Self": (value) => ({ tailscale: { Self: value } }),
  "its ID in the tailnet": (ID) => ({ tailscale: self({ ID }) }),
  "its node key": (PublicKey) => ({ tailscale: self({ PublicKey }) }),
  "its name in the tailnet": (DNSName) => ({ tailscale: self({ DNSName }) }),
  "its addresses in the tailnet": (TailscaleIPs) => ({ tailscale: self({ TailscaleIPs }) }),
  "its address in the tailnet": (ip) => ({ tailscale: self({ TailscaleIPs: [ip] }) }),
  "its tags in the tailnet": (Tags) => ({ tailscale: self({ Tags }) }),
  "its tag in the tailnet": (tag) => ({ tailscale: self({ Tags: [tag] }) }),
  "tailscaled's state": (tailnetState) => ({ tailnetState }),
  "what tailscale says of a login": (join) => ({ tailnetState: "NeedsLogin", join }),
  "an agent's error": (error) => ({ errors: { "guest-exec": error } }),
  "an agent's error to ping": (error) => ({ errors: { "guest-ping": error } }),
  "an agent's error to what interfaces there are": (error) => ({ errors: { "guest-network-get-interfaces": error } }),
  "the host name in its lease": (name) => ({ leases: lease(macAddress("app"), "10.77.0.5", `${text(name)} 01:02`) }),
  "the client's ID in its lease": (id) => ({ leases: lease(macAddress("app"), "10.77.0.5", `host ${text(id)}`) }),
};

const seen = new Set<string>();

/** OpenSSH itself reads the file as one that has the proxy of this product, and no other. */
function asSshReads(config: string): void {
  if (seen.has(config)) return;
  seen.add(config);
  writeFileSync(path.join(dir, "config"), config);
  const { stdout } = execaSync("ssh", ["-G", "-F", path.join(dir, "config"), "project-app"]);
  const options = new Map(stdout.split("\n").map((line) => [line.split(" ")[0], line.slice(line.indexOf(" ") + 1)]));
  expect(options.get("proxycommand")).toBe("nsenter --net=/run/x nc %h %p");
  expect(options.get("hostname")).toMatch(/^10\.77\.0\.\d+$/);
  expect([options.get("user"), options.get("hostkeyalias"), options.get("stricthostkeychecking")]).toEqual([
    "dev",
    "project-app",
    "true",
  ]);
  expect(options.get("userknownhostsfile")).toBe(knownHosts);
  expect([options.get("localcommand"), options.get("permitlocalcommand")]).toEqual([undefined, "no"]);
}

/** The names of all elements and attributes of an XML, which must be one. */
function shapeOf(xml: string): unknown {
  expect(XMLValidator.validate(xml)).toBe(true);
  const names = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(names)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, names(inner)]))
        : null;
  return names(new XMLParser({ ignoreAttributes: false, preserveOrder: true }).parse(xml));
}

/** Of all that came of it nothing may act: neither in ssh, nor in libvirt, nor on a terminal. */
function expectHarmless({ error, printed, asked, readiness, files, xslt }: Outcome, good: Outcome): void {
  for (const text of [...printed, error?.message ?? ""]) {
    expectHarmlessText(text, text);
  }
  for (const words of asked) {
    for (const word of words) expect(/\p{Cc}/u.test(word) && quoteForVirsh(word)).toBe(false);
    if (words[0] === "metadata") {
      expect(shapeOf(words[words.indexOf("--set") + 1] ?? "")).toEqual([
        { tailnet: [], ":@": { "@_id": null, "@_node": null } },
      ]);
    }
  }
  if (error) {
    expect(["NotReadyError", "UserError"]).toContain(error.name);
    expect(error.message).toContain("project-app");
    return;
  }
  expect(files?.config.split("\n").map((line) => line.trim().split(" ")[0])).toEqual(
    good.files?.config.split("\n").map((line) => line.trim().split(" ")[0]),
  );
  for (const line of files?.knownHosts.trimEnd().split("\n") ?? []) {
    expect(line).toMatch(/^project-app (ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/]+=*$/);
  }
  asSshReads(files?.config ?? "");
  expect(shapeOf(xslt ?? "")).toEqual(shapeOf(good.xslt ?? ""));
  expect(JSON.stringify(readiness)).not.toMatch(/canary|shadow|evil/);
}

const run = (answers: Partial<Answers>) => wayToReadiness({ ...well(), ...answers }, knownHosts);

describe("a guest that answers as it should", () => {
  test("is ready, in its tailnet, and marked as the device that it is", async () => {
    const { error, readiness, files, asked } = await run({});
    expect(error).toBeUndefined();
    expect(readiness).toMatchObject({
      addresses: ["10.77.0.5"],
      hostKeys: [aHostKey()],
      tailnet: { name: "project-app.tail1234.ts.net", id: "n1", nodeKey: aNode(1).nodeKey },
    });
    expect(files?.config.match(/^Host .*/gm)).toEqual(["Host project-app", "Host project-app.tail1234.ts.net"]);
    expect(asked.find(([verb]) => verb === "metadata")).toContain(`<tailnet id="n1" node="${aNode(1).nodeKey}"/>`);
  });
});

test("there are more than forty hostile values", () => {
  expect(Object.keys(hostileValues).length).toBeGreaterThanOrEqual(40);
});

describe.each(Object.entries(fields))("in the place of %s", (_, answers) => {
  test("no hostile value acts", { timeout: 240_000 }, async () => {
    const good = await run({});
    for (const [name, value] of Object.entries(hostileValues)) {
      await setImmediate();
      const outcome = await run(answers(value));
      try {
        expectHarmless(outcome, good);
      } catch (error) {
        throw new Error(`${name}: ${(error as Error).message}\n${outcome.error?.message.slice(0, 1000)}`);
      }
    }
  });
});

const questions = ["guest-ping", "guest-exec", "guest-exec-status", "guest-network-get-interfaces"];
test.each(questions)(
  "what is no answer to %s at all is refused, by guest and question",
  { timeout: 240_000 },
  async (question) => {
    const good = await run({});
    const huge = { "12 MiB": `{"return": "${"A".repeat(13 * 2 ** 20)}"}`, ...hostileAnswers };
    for (const [name, answer] of Object.entries(huge)) {
      const outcome = await run({ raw: { [question]: answer } });
      expectHarmless(outcome, good);
      // Of a ping only that there was an answer counts.
      if (question !== "guest-ping") expect(outcome.error?.message, name).toContain(question);
    }
  },
);

test("what the console printed is what an error ends with where the agent tells no log", async () => {
  const { error } = await run({ console: "one\nkernel panic\n", errors: { "guest-exec": "gone" } });
  expect(error?.message).toContain("The end of the guest's log:\n  | one\n  | kernel panic");
});

/** The key in the file that a VM of the tests joins with. */
const joinKey = "tskey-auth-x";

test.each<[string, Partial<Answers>]>([
  ["as the reason of its failure", { join: `1\n2\n3\ninvalid key: ${joinKey}` }],
  ["in its log", { log: `used ${joinKey}${joinKey}` }],
  ["on its console", { console: joinKey, errors: { log: "gone" } }],
  ["as its agent's error", { errors: { join: `no ${joinKey}` } }],
  ["with a colour in it", { join: "invalid key: tskey-\x1b[0mauth-x" }],
  ["with a colour in it, in its log", { log: "used tskey-\x1b[1;31mauth-x" }],
  ["with a colour in it, on its console", { console: "tskey-\x1b[mauth-x", errors: { log: "gone" } }],
  ["with a colour in it, as its agent's error", { errors: { join: "no tskey-\x1b[0mauth-x" } }],
  ["half of it as an error", { join: "tskey-", status: { "err-data": Buffer.from("auth-x").toString("base64") } }],
])("a key that a guest says back %s is not shown", async (_, answers) => {
  const { error, printed } = await run({ tailnetState: "NeedsLogin", ...answers });
  const all = [...printed, error?.message].join("\n");
  expect(all).toContain("stage tailnet failed");
  expect(all).toContain("[key]");
  expect(all).not.toContain(joinKey);
});

test("nor one that it escapes as JSON does", async () => {
  const answers = ['{"return":{"pid":1}}', '{"return":{"exited":"tskey\\u002dauth-x"}}'];
  const run = async () => answers.shift() ?? "";
  const asked = new GuestAgent({ uri: "qemu:///system", run, runPrivately: run }, "project-app");
  await expect(asked.exec(["cat"], 5, joinKey)).rejects.toThrow("must be true or false; it says:\n  | [key]");
});

test.each([
  ["ID", { ID: joinKey }],
  ["a name that nobody asked for", { Tags: ["tag:project-vm"], [joinKey]: 1 }],
])("nor where it says it, escaped so, as its %s, and all else is right", async (_, change) => {
  const said = JSON.stringify(self(change)).replaceAll("tskey-auth", "tskey\\u002dauth");
  const { error, printed, asked, readiness } = await run({ tailnetState: "NeedsLogin", tailscale: said });
  const marked = asked.filter(([verb]) => verb === "metadata");
  expect(JSON.stringify([printed, error?.message, marked, readiness])).not.toContain(joinKey);
});

/** Where the value cannot be right, the refusal names guest and field and shows the value. */
test.each<[string, Partial<Answers>, RegExp]>([
  [
    "an address",
    { interfaces: [nic({ "ip-addresses": [{ "ip-address": hostileTexts["a line break and an option of ssh"] }] })] },
    /project-app: guest-network-get-interfaces ip-address: must be an IP address; it says: 10\.77\.0\.5 {3}ProxyCommand touch/,
  ],
  [
    "a host key",
    { hostKeys: "ssh-ed25519 AAAA\nx" },
    /project-app: SSH host keys: must be a public key as SSH writes it; it says: ssh-ed25519 AAAA/,
  ],
  ["no host key", { hostKeys: "" }, /project-app: SSH host keys: must hold one of a type that is known here/],
  ["a pid", { pid: -1 }, /project-app: guest-exec pid: must be a whole number from 0 to 2147483647, but is -1/],
  [
    "an exit code",
    { status: { exitcode: 256 } },
    /project-app: guest-exec-status exitcode: must be a whole number from 0 to 255, but is 256/,
  ],
  [
    "base64",
    { status: { "out-data": "\u0000" } },
    /project-app: guest-exec-status out-data: must be base64; it says: \\x00/,
  ],
  ["a report", { cloudInit: "Killed" }, /project-app: cloud-init status: must be JSON; it says: Killed/],
  [
    "an ID",
    { tailscale: self({ ID: hostileTexts["a disk in XML"] }) },
    /project-app: tailscale status Self ID: must be a device's ID; it says: "\/><disk/,
  ],
  [
    "a node key",
    { tailscale: self({ PublicKey: "nodekey:1" }) },
    /project-app: tailscale status Self PublicKey: must be `nodekey:` and 64 hexadecimal digits; it says: nodekey:1/,
  ],
  [
    "an address that every device of a tailnet has",
    { tailscale: self({ TailscaleIPs: ["100.64.0.7", "100.100.100.100"] }) },
    /project-app: tailscale status Self TailscaleIPs: must be addresses that a tailnet gives to devices; it says: 100\.100\.100\.100/,
  ],
  [
    "a name",
    { tailscale: self({ DNSName: "project-db.tail1234.ts.net." }) },
    /project-app: tailscale status Self DNSName: must be project-app\.tail1234\.ts\.net, or .*; it says: project-db\.tail1234\.ts\.net/,
  ],
])("a refusal of %s says whose it is, what it is, and what was said", async (_, answers, message) => {
  expect(unbroken((await run(answers)).error)).toMatch(message);
});

/** What a guest says has lines of its own, and a refusal as the reason of a failure has too. */
const unbroken = (error: Error | undefined) =>
  error?.message.replaceAll(/(?<! )\n(?: {2}\| )+/g, " ").replaceAll(/ \n(?: {2}\| )+/g, " ");

test("the name of a field is the guest's too, and not repeated where it is odd", async () => {
  const report = { status: "done", recoverable_errors: { ["\r".repeat(500_000)]: ["x", 1] } };
  const { error } = await run({ cloudInit: report });
  const field = "project-app: cloud-init status recoverable_errors (a key): must be a";
  expect(unbroken(error)).toContain(field);
});

/** What could be an address, but not this VM's. */
test.each([
  "this machine",
  "any machine",
  "this machine in IPv6",
  "the cloud's own address",
  "an address of the host",
  "another VM's address",
  "another network's address",
])("%s is never where a VM is", async (name) => {
  const ip = hostileTexts[name];
  const { error } = await run({ interfaces: [nic({ "ip-addresses": [{ "ip-address": ip }] })] });
  expect(error?.message).toContain("the guest got no address from its network within 0.2 s");
  const both = await run({
    interfaces: [nic({ "ip-addresses": [{ "ip-address": ip }, { "ip-address": "10.77.0.5" }] })],
  });
  expect(both.readiness?.addresses).toEqual(["10.77.0.5"]);
});
