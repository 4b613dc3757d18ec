import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { hostUnreachable, isUnreachable, requireAgentKeys } from "../../../src/libvirt/unreachable.ts";

const failed = "failed to connect to the hypervisor; ";

test.each([
  [
    "qemu+ssh://root@storage/system",
    "Cannot recv data: Host key verification failed.: Connection reset by peer",
    "Log in once by hand and check its key: ssh root@storage",
  ],
  [
    "qemu+ssh://root@storage:2222/system?keyfile=/keys/storage",
    "Cannot recv data: root@storage: Permission denied (publickey).: Connection reset by peer",
    "Let your SSH key in there, and into an agent here if it has a passphrase: ssh-copy-id -p 2222 -i '/keys/storage' root@storage",
  ],
  [
    "qemu+ssh://root@storagee/system",
    "Cannot recv data: ssh: Could not resolve hostname storagee: Name or service not known: Connection reset by peer",
    "Correct the host's name in the URI.",
  ],
  [
    "qemu+ssh://root@storage/system",
    "Cannot recv data: ssh: connect to host storage port 22: Connection refused: Connection reset by peer",
    "Is it up? Try: ssh root@storage",
  ],
  ["qemu+ssh://root@storage/system", "no connection within 10 s", "Is it up? Try: ssh root@storage"],
  [
    "qemu+ssh://root@storage/system",
    "Cannot recv data: kex_exchange_identification: Connection closed by remote host: Connection reset by peer",
    "Its SSH server turns log-ins away: try again, or raise MaxStartups in its sshd_config.",
  ],
  [
    "qemu+ssh://root@storage/system",
    "End of file while reading data: virt-ssh-helper: cannot connect to '/var/run/libvirt/libvirt-sock': Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory: Input/output error",
    "Install and start libvirtd there: apt-get install libvirt-daemon-system",
  ],
  [
    "qemu+ssh://root@storage/system",
    "End of file while reading data: sh: 1: nc: not found: Input/output error",
    "Install and start libvirtd there: apt-get install libvirt-daemon-system",
  ],
  [
    "qemu+ssh://dev@storage/system",
    "End of file while reading data: virt-ssh-helper: cannot connect to '/var/run/libvirt/libvirt-sock': Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied: Input/output error",
    "Name root in the URI, or let that user at libvirt, there: adduser dev libvirt",
  ],
  [
    "qemu+ssh://dev@storage/system",
    "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
    "Name root in the URI, or let that user at libvirt, there: adduser dev libvirt",
  ],
  [
    "qemu+ssh://root@storage/system?socket=/var/lib/project-vms/other/run/libvirt/libvirt-sock",
    "no connection within 10 s",
    "Is it up? Try: ssh root@storage",
  ],
  [
    "qemu+unix:///system?socket=/var/lib/project-vms/vms-1/run/libvirt/libvirt-sock",
    "Failed to connect socket to '/var/lib/project-vms/vms-1/run/libvirt/libvirt-sock': No such file or directory",
    "Start this checkout's embedded host: make up; `project-vm start` and `apply` start it too",
  ],
  [
    "qemu+unix:///system?mode=direct&socket=%2Fvar/lib/project-vms//vms-1/run/libvirt/libvirt-sock",
    "Failed to connect socket to '/var/lib/project-vms/vms-1/run/libvirt/libvirt-sock': No such file or directory",
    "Start this checkout's embedded host: make up; `project-vm start` and `apply` start it too",
  ],
  [
    "qemu:///system",
    "Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory",
    "Start libvirtd (systemctl start libvirtd), or leave `host` out of the config for the embedded one.",
  ],
  [
    "qemu:///system",
    "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
    "Run it as root, or as a member of the group libvirt.",
  ],
  ["qemu+tls://storage/system", "unable to connect", "Try it by hand: virsh -c 'qemu+tls://storage/system' list"],
])("%s: %s", (uri, reason, remedy) => {
  const error = hostUnreachable(uri, failed + reason);
  expect(error.message).toContain(`The libvirt host ${uri} does not answer.`);
  expect(error.message).toContain(`(${reason})`);
  expect(error.issues.map((issue) => issue.remedy)).toEqual([remedy]);
});

test("a host with another key than before is not to be trusted, and what to do is said once", () => {
  const reason = [
    "Offending ED25519 key in /home/me/.ssh/known_hosts:1",
    "remove with:",
    'ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[storage]:2222"',
    "Host key for [storage]:2222 has changed and you have requested strict checking.",
    "Host key verification failed.: Connection reset by peer",
  ].join("; ");
  const [issue] = hostUnreachable("qemu+ssh://root@storage:2222/system", reason).issues;
  expect(issue).toMatchObject({
    rule: "must lead to a libvirt that answers (Offending ED25519 key in /home/me/.ssh/known_hosts:1; Host key for [storage]:2222 has changed and you have requested strict checking.; Host key verification failed.: Connection reset by peer)",
    remedy:
      "Another machine may be answering in its place. If it was reinstalled: ssh-keygen -R '[storage]:2222', then log in once by hand and check its new key: ssh -p 2222 root@storage",
  });
});

test.each([
  [{ exitCode: 1, reason: "Cannot recv data: Host key verification failed." }, true],
  [{ exitCode: undefined, reason: "no connection within 10 s" }, true],
  [{ exitCode: undefined, reason: "no log-in" }, true],
  [{ exitCode: undefined, reason: "failed to get domain 'project-web'" }, false],
  [{ exitCode: undefined, reason: "no answer within 60 s" }, false],
])("%j is a failure of the connection: %s", (error, expected) => {
  expect(isUnreachable(error)).toBe(expected);
});

describe("the keys of an agent", () => {
  const uri = "qemu+ssh://root@storage/system";
  let dir: string;
  let agent: ReturnType<typeof spawn>;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "agent-"));
    environment = { ...process.env, SSH_AUTH_SOCK: path.join(dir, "agent") };
    agent = spawn("ssh-agent", ["-D", "-a", path.join(dir, "agent")], { stdio: "ignore" });
    await vi.waitUntil(() => existsSync(path.join(dir, "agent")), { timeout: 10_000 });
  });
  afterAll(async () => {
    agent.kill();
    await rm(dir, { recursive: true });
  });

  test("an agent without any keeps the provider out", async () => {
    const error = await requireAgentKeys(uri, environment).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toBe(
      `The libvirt host ${uri} does not let the provider in.\n` +
        `  - host.uri: must lead to a host that lets in by a key of your SSH agent, which has none (SSH_AUTH_SOCK), but is "${uri}"\n` +
        `    Give it one: ssh-add. Or have your key files used: \`${uri}?sshauth=privkey\``,
    );
  });

  test.each([
    ["the URI asks for key files", `${uri}?sshauth=privkey`, {}],
    ["there is no agent", uri, { SSH_AUTH_SOCK: undefined }],
    ["none answers", uri, { SSH_AUTH_SOCK: "/nowhere" }],
    ["the host is this machine", "qemu:///system", {}],
    ["the host is not reached by ssh", "qemu+tls://storage/system", {}],
  ])("does not when %s", async (_, at, variables) => {
    await requireAgentKeys(at, { ...environment, ...variables });
  });

  test("does not when it has one", async () => {
    const file = path.join(dir, "key");
    const run = (program: string, ...args: string[]) =>
      new Promise((resolve) => spawn(program, args, { env: environment, stdio: "ignore" }).once("close", resolve));
    expect(await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)).toBe(0);
    expect(await run("ssh-add", file)).toBe(0);
    await requireAgentKeys(uri, environment);
  });
});
