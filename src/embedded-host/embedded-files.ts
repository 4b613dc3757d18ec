import { constants } from "node:fs";
import { chmod, chown, mkdir, open, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import type { EmbeddedHost } from "../libvirt/embedded-layout.ts";
import { checkoutFile, markFile } from "./lost-hosts.ts";

/**
 * Where libvirt keeps its files, whatever its configuration says. Inside, the host's own folders are mounted on them.
 */
const mountpoints = ["/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"];

/** What a host has below its folder, made by us. */
const ownFolders = ["run/libvirt", "libvirt/etc/hooks", "libvirt/lib", "libvirt/cache", "libvirt/log", "vms"];

/** Root's folders on the way of QEMU and dnsmasq, who are other users; the later ones libvirtd makes. */
const passages = ["run", "run/libvirt", "libvirt", "libvirt/lib"];
const libvirtsPassages = [
  "libvirt/cache",
  "libvirt/log",
  "run/libvirt/qemu",
  "run/libvirt/network",
  "libvirt/lib/qemu/channel",
  "libvirt/lib/dnsmasq",
];

/** Lets other users through a folder, and shows them nothing of it. */
const passable = 0o011;

/** Debian's reserved number for the user and the group libvirt-qemu, which guests run as. */
export const qemuId = 64055;

const logFile = "libvirt/log/libvirtd.log";
const insideLog = "run/inside.log";
const linesOfLog = 6;

const libvirtdConf = `# Written at each start of the embedded host.
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
unix_sock_ro_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
# An engine asks for many things at once over one connection; the defaults are 20 and 5.
max_workers = 40
max_client_requests = 40
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
`;

const qemuConf = `# Written at each start of the embedded host.
# Debian's reserved number for libvirt-qemu: a guest that breaks out of QEMU is not root.
user = "+${qemuId}"
group = "+${qemuId}"
security_driver = "none"
cgroup_controllers = []
# What guests print goes through virtlogd, which bounds it: no guest fills the disk of all.
stdio_handler = "logd"
`;

/** What a guest's console, and QEMU itself, may leave on the disk: a file of 2 MiB, and three older ones. */
const virtlogdConf = `# Written at each start of the embedded host.
max_size = 2097152
max_backups = 3
`;

/**
 * Frames to link-local group addresses (LLDP's for one) pass by every network filter, and a bridge would believe the sender that one
 * names: a guest could take a neighbour's MAC address. libvirt's own way, `macTableManager`, takes a kernel with VLAN filtering.
 */
const networkHook = `#!/bin/sh
# Written at each start of the embedded host. Called by libvirt: https://libvirt.org/hooks.html
cat >/dev/null
[ "$2" = started ] || exit 0
ip -o link show type bridge | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/' | while read -r bridge; do
  ip link set dev "$bridge" type bridge no_linklocal_learn 1
done
exit 0
`;

/**
 * Makes the host's folders and configuration, and the empty folders that libvirt's are mounted on where no package
 * made them.
 */
export async function prepareFiles(host: EmbeddedHost): Promise<void> {
  for (const folder of ownFolders) await mkdir(path.join(host.dir, folder), { recursive: true, mode: 0o711 });
  for (const folder of mountpoints) {
    const isNew = (await mkdir(folder, { recursive: true })) !== undefined;
    if (isNew) await chmod(folder, 0o755); // which the umask has cut
  }
  await guardFolders(host);
  await writeFile(path.join(host.dir, markFile), `${host.dir}\n`);
  await noteCheckout(host);
  await writeFile(path.join(host.dir, "libvirt/etc/libvirtd.conf"), libvirtdConf);
  await writeFile(path.join(host.dir, "libvirt/etc/qemu.conf"), qemuConf);
  await writeFile(path.join(host.dir, "libvirt/etc/virtlogd.conf"), virtlogdConf);
  await writeFile(path.join(host.dir, "libvirt/etc/hooks/network"), networkHook);
  await chmod(path.join(host.dir, "libvirt/etc/hooks/network"), 0o700);
}

/** Writes down whose host it is: should its checkout be moved or deleted, nothing else would tell. */
export async function noteCheckout(host: EmbeddedHost): Promise<void> {
  await writeFile(path.join(host.dir, checkoutFile), `${host.checkout}\n`);
}

/**
 * Lets nobody into the host's folders but root and, on their way to the disks, guests: whatever the modes of the files below
 * are, no other user gets to them. And lets guests through all of them, also where they were made under a umask of 077. Also on a
 * host that runs.
 */
export async function guardFolders(host: Pick<EmbeddedHost, "dir" | "storageDir">): Promise<void> {
  await openPassages(host.dir);
  for (const folder of [host.dir, host.storageDir]) {
    await chown(folder, 0, qemuId);
    await chmod(folder, 0o710);
  }
}

/** The folders that QEMU's user passes on its way into a host's folder, and in it. */
export const passagesOf = (dir: string) => [path.dirname(dir), ...passages.map((folder) => path.join(dir, folder))];

/** Opens the way of QEMU's user through root's folders; those that are not there yet are made by a umask of the host's own. */
export async function openPassages(dir: string): Promise<void> {
  for (const folder of [...passagesOf(dir), ...libvirtsPassages.map((made) => path.join(dir, made))]) {
    // Followed, a link that a guest's QEMU had put into its own folder would open another one.
    const flags = constants.O_DIRECTORY | constants.O_NOFOLLOW;
    const found = await open(folder, flags).catch((error: NodeJS.ErrnoException) => {
      if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code ?? "")) throw error;
    });
    if (found === undefined) continue;
    try {
      const { mode } = await found.stat();
      if ((mode & passable) !== passable) await found.chmod((mode & 0o7777) | passable);
    } finally {
      await found.close();
    }
  }
}

/**
 * The error of a start that failed, with what the logs say last. Reads them, so call it before anything clears them.
 */
export async function startFailure(host: EmbeddedHost, cause: unknown): Promise<UserError> {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const lines = [...(await tail(path.join(host.dir, insideLog))), ...(await tail(path.join(host.dir, logFile)))];
  return new UserError("The embedded host did not start.", [
    {
      path: host.dir,
      rule: `libvirtd must come up, but: ${reason}`,
      // A guest's agent can have a line of its own in libvirtd's log.
      said: lines.join("\n"),
      remedy: `All of it: ${path.join(host.dir, logFile)}`,
    },
  ]);
}

async function tail(file: string): Promise<string[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.trimEnd().split("\n").filter(Boolean).slice(-linesOfLog);
}
