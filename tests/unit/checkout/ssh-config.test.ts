import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { sshFiles, sshPathTo } from "../../../src/checkout/ssh-config.ts";
import { hostileTexts } from "../guest/hostile-values.ts";
import { aHostKey, anAddress, anEcdsaKey, aTailnetName } from "../guest/samples.ts";

test("each VM with an address is a host of its own, with its keys pinned under its name", () => {
  const files = sshFiles(
    [
      {
        name: "web",
        addresses: [anAddress("10.77.0.6")],
        hostKeys: [aHostKey(2)],
        tailnetName: aTailnetName("project-web.tail1.ts.net"),
      },
      { name: "app", addresses: [anAddress("10.77.0.5"), anAddress("fd00::5")], hostKeys: [anEcdsaKey(), aHostKey(1)] },
      { name: "off", addresses: [], hostKeys: [] },
    ],
    { proxyCommand: "nsenter --net=/run/x nc %h %p", identityFile: "/home/me/key" },
    "/state/known_hosts",
  );
  expect(files.config).toBe(`Host project-app
  HostName 10.77.0.5
  HostKeyAlias project-app
  User dev
  UserKnownHostsFile "/state/known_hosts"
  StrictHostKeyChecking yes
  PreferredAuthentications publickey
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  ConnectTimeout 30
  ServerAliveInterval 30
  ServerAliveCountMax 4
  ProxyCommand nsenter --net=/run/x nc %h %p
  IdentityFile "/home/me/key"

Host project-web
  HostName 10.77.0.6
  HostKeyAlias project-web
  User dev
  UserKnownHostsFile "/state/known_hosts"
  StrictHostKeyChecking yes
  PreferredAuthentications publickey
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  ConnectTimeout 30
  ServerAliveInterval 30
  ServerAliveCountMax 4
  ProxyCommand nsenter --net=/run/x nc %h %p
  IdentityFile "/home/me/key"

Host project-web.tail1.ts.net
  HostKeyAlias project-web
  User dev
  UserKnownHostsFile "/state/known_hosts"
  StrictHostKeyChecking yes
  PreferredAuthentications publickey
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  ConnectTimeout 30
  ServerAliveInterval 30
  ServerAliveCountMax 4
`);
  expect(files.knownHosts).toBe(
    `project-app ${anEcdsaKey()}\nproject-app ${aHostKey(1)}\nproject-web ${aHostKey(2)}\n`,
  );
});

test.each([
  ["qemu:///system", {}],
  ["qemu+unix:///system?socket=/run/x", {}],
  ["qemu+ssh://root@storage/system", { proxyJump: "root@storage" }],
  ["qemu+ssh://storage:2222/system", { proxyJump: "storage:2222" }],
  [
    "qemu+ssh://root@storage/system?keyfile=/keys/storage",
    { proxyCommand: "ssh -i '/keys/storage' -W '[%h]:%p' root@storage" },
  ],
  [
    "qemu+ssh://root@storage:2222/system?sshauth=privkey&keyfile=/keys/it's%2050%25",
    { proxyCommand: "ssh -i '/keys/it'\\''s 50%%' -p 2222 -W '[%h]:%p' root@storage" },
  ],
])("the VMs of %s are reached by %o", (uri, path) => {
  expect(sshPathTo(uri)).toEqual(path);
});

const web = { name: "web", addresses: [anAddress()], hostKeys: [aHostKey()] };

test("a % in a path stands for itself", () => {
  expect(sshFiles([web], { identityFile: "/my %h/key" }, "/100%/known_hosts").config).toMatch(
    /UserKnownHostsFile "\/100%%\/known_hosts"[\s\S]*IdentityFile "\/my %%h\/key"/,
  );
});

test.each(["root@127.0.0.1:9", "127.0.0.1", "root@[::1]:9"])(
  "OpenSSH jumps over %s from a folder with %%",
  (proxyJump) => {
    const dir = mkdtempSync(path.join(tmpdir(), "a%2Fb-"));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const file = path.join(dir, "config");
    writeFileSync(file, sshFiles([web], { proxyJump }, path.join(dir, "known_hosts")).config);
    // Nothing listens there, or no key fits: what counts is that it came so far.
    const ways = ["-o", "ConnectTimeout=5", "-o", "BatchMode=yes"];
    const { stderr } = spawnSync("ssh", [...ways, "-F", file, "--", "project-web", "true"], { encoding: "utf8" });
    expect(stderr).not.toMatch(/percent_expand|Could not resolve|Bad configuration/);
    expect(stderr).toMatch(/Connection closed by UNKNOWN|refused/);
  },
);

test.each<[string, Parameters<typeof sshFiles>[1], string]>([
  ["a quote in a path", { identityFile: '/a" ProxyCommand x' }, "/k"],
  ["a break in a path", {}, "/a\nProxyCommand x"],
  ["a backslash in a path", {}, "/a\\"],
  ["a variable in a path", {}, ["/$", "{HOME}"].join("")],
  ["a path that begins nowhere", { identityFile: "~/key" }, "/k"],
  ["a break in a command", { proxyCommand: "nc\nPermitLocalCommand yes" }, "/k"],
  ["a zero byte in a command", { proxyCommand: "nc\0" }, "/k"],
  ["an option as a jump", { proxyJump: "-oProxyCommand=x" }, "/k"],
  ["a blank in a jump", { proxyJump: "a b" }, "/k"],
])("%s is refused, and nothing is written", (_, way, known) => {
  expect(() => sshFiles([web], way, known)).toThrow("The files for SSH clients are not written.");
});

/** Values whose types were forced, as a mistake elsewhere would. */
test.each(Object.entries(hostileTexts))("%s is one value of its line, or none", (_, text) => {
  for (const change of [{ addresses: [text] }, { hostKeys: [text] }, { tailnetName: text }]) {
    const written = () => sshFiles([{ ...web, ...change } as never], {}, "/k");
    try {
      const { config, knownHosts } = written();
      expect(config).toMatch(/^(Host \S+\n( {2}\S+ [^\n]+\n)+\n?)+$|^$/);
      expect(config).not.toMatch(/Proxy|canary/);
      expect(knownHosts).toMatch(/^(project-web [a-z0-9-]+ [A-Za-z0-9+/=]+\n)*$/);
    } catch (error) {
      expect((error as Error).message).toContain("The files for SSH clients are not written.");
    }
  }
});

test("OpenSSH logs in with keys only: a guest's server has nobody asked for a password", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "ssh-config-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const tailnetName = aTailnetName("project-web.tail1.ts.net");
  writeFileSync(path.join(dir, "config"), sshFiles([{ ...web, tailnetName }], { proxyJump: "storage" }, "/k").config);
  for (const name of ["project-web", tailnetName]) {
    const { stdout } = spawnSync("ssh", ["-G", "-F", path.join(dir, "config"), name], { encoding: "utf8" });
    expect(stdout).toMatch(/^preferredauthentications publickey$/m);
    expect(stdout).toMatch(/^passwordauthentication no$/m);
    expect(stdout).toMatch(/^kbdinteractiveauthentication no$/m);
  }
});

test("a VM that says that it has another's name in the tailnet does not get it", () => {
  const other = { ...web, name: "web-1", tailnetName: "project-web-1.tail1.ts.net" as never };
  const { config } = sshFiles([{ ...web, tailnetName: aTailnetName("project-web-1.tail1.ts.net") }, other], {}, "/k");
  expect(config.match(/^Host .*|HostKeyAlias .*/gm)).toEqual([
    ...["Host project-web", "HostKeyAlias project-web"],
    ...["Host project-web-1", "HostKeyAlias project-web-1"],
    ...["Host project-web-1.tail1.ts.net", "HostKeyAlias project-web-1"],
  ]);
});

test.each([
  "qemu+ssh://-oProxyCommand=x@storage/system",
  "qemu+ssh://root@-oProxyCommand=x/system?keyfile=/k",
  "qemu+ssh://root%20-v@storage/system",
  "qemu+ssh://$(x)@storage/system?keyfile=/k",
  "qemu+ssh://root@a%0Ab/system",
])("%s is no way to a VM", (uri) => {
  expect(() => sshPathTo(uri)).toThrow("host.uri: must name a user and a host");
});
