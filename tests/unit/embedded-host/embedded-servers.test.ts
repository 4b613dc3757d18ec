import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clearLeftovers, killHost } from "../../../src/embedded-host/embedded-process.ts";
import { endedServers, restartServers, serverUsers } from "../../../src/embedded-host/embedded-servers.ts";
import { processesInside, userOf } from "../../../src/embedded-host/inside-processes.ts";
import type { EmbeddedHost } from "../../../src/libvirt/embedded-layout.ts";
import { insideName } from "../../../src/libvirt/embedded-look.ts";

/** A host whose libvirtd does one thing: at each reload it starts the server of a network, which is two processes. */
const libvirtd = `
serve() {
    for user in 0 65525; do
        setpriv --reuid=$user --regid=65534 --clear-groups sh -c 'read -r _ <"$0"' "$1/run/pipe" --conf-file=/var/lib/libvirt/dnsmasq/my-net.conf &
    done
}
trap 'serve "$1"' HUP
serve "$1"
while :; do wait; done
`;
const server = ["--conf-file=/var/lib/libvirt/dnsmasq/my-net.conf"];

let dir: string;
let host: EmbeddedHost;
const started: ChildProcess[] = [];

beforeEach(async () => {
  // Where any user may look.
  dir = mkdtempSync("/tmp/embedded-servers-");
  chmodSync(dir, 0o755);
  host = { checkout: dir, dir, uri: "", storageDir: `${dir}/vms`, netns: `${dir}/run/netns` };
  mkdirSync(path.join(dir, "run"));
  writeFileSync(host.netns, "");
  await execa("mkfifo", ["-m", "644", path.join(dir, "run/pipe")]);
  writeFileSync(path.join(dir, "libvirtd.sh"), libvirtd);
  writeFileSync(path.join(dir, insideName), `bash -c 'exec -a /usr/sbin/libvirtd sh "$0/libvirtd.sh" "$0"' "$1"\n:\n`);
});
afterEach(async () => {
  await killHost(host);
  for (const child of started.splice(0)) child.kill("SIGKILL");
  await clearLeftovers(host);
  rmSync(dir, { recursive: true });
});

async function start(): Promise<void> {
  const namespaces = ["--mount", "--propagation", "slave", `--net=${host.netns}`, "--pid", "--fork", "--kill-child"];
  const inside = ["sh", path.join(dir, insideName), dir, "emulated"];
  started.push(spawn("unshare", [...namespaces, ...inside], { stdio: "ignore" }));
  await expect.poll(() => serverUsers(host)).toEqual([{ network: "my-net", user: 65_525 }]);
}

/** What says what a host's server says, elsewhere. */
async function startOther(): Promise<number> {
  const words = ["--reuid=65526", "--clear-groups", "--regid=65534", "sh", "-c", "echo up; read -r _", "sh", ...server];
  const other = spawn("setpriv", words, { stdio: ["pipe", "pipe", "ignore"] });
  started.push(other);
  await once(other.stdout, "data");
  return other.pid as number;
}

function notes(...files: string[]): void {
  const folder = path.join(dir, "run/libvirt/network");
  mkdirSync(folder, { recursive: true });
  for (const file of files) writeFileSync(path.join(folder, file), "");
}

test("a host that does not run has no process in it, and no server of its networks", async () => {
  await startOther();
  expect(processesInside(host)).toEqual([]);
  expect(serverUsers(host)).toEqual([]);
  expect(endedServers(host)).toEqual([]);
});

test("the processes in a host are told with their words and users, and none elsewhere", async () => {
  const other = await startOther();
  await start();
  const inside = processesInside(host);
  expect(inside.map(({ pid }) => pid)).not.toContain(other);
  expect(inside.map(({ words }) => words[0])).toContain("/usr/sbin/libvirtd");
  const servers = () => processesInside(host).filter(({ words }) => words.includes(server[0] ?? ""));
  await expect.poll(() => servers().map(userOf).toSorted()).toEqual([0, 65_525]);
  expect(userOf({ pid: 2 ** 30, words: [] })).toBeUndefined();
});

test("the server of a network that ended is told, not one that libvirt stopped, and started again", async () => {
  await start();
  notes("my-net.xml", "my-net.pid", "stopped.xml");
  expect(endedServers(host)).toEqual([]);
  const [ended] = processesInside(host).filter((one) => userOf(one) === 65_525);
  process.kill(ended?.pid as number, "SIGKILL");
  await expect.poll(() => endedServers(host)).toEqual(["my-net"]);
  await restartServers(host);
  expect(serverUsers(host)).toEqual([{ network: "my-net", user: 65_525 }]);
  expect(endedServers(host)).toEqual([]);
});
