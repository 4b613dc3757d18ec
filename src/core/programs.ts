import { constants } from "node:fs";
import { access } from "node:fs/promises";
import path from "node:path";
import { type Issue, UserError } from "./errors.ts";

/** The programs that an embedded host and the way into its guests (nc) need, and Debian's packages that have them. */
export const programs: Record<string, string> = {
  libvirtd: "libvirt-daemon",
  virtlogd: "libvirt-daemon",
  virsh: "libvirt-clients",
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-img": "qemu-utils",
  dnsmasq: "dnsmasq-base",
  iptables: "iptables",
  ebtables: "iptables",
  perl: "perl-base",
  ip: "iproute2",
  nc: "netcat-openbsd",
  awk: "mawk",
  mount: "mount",
  unshare: "util-linux",
  nsenter: "util-linux",
};

/** Where system programs are, whatever the user's PATH says. */
const systemPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** @throws {UserError} naming each missing program and the packages to install */
export async function requirePrograms(wanted: Record<string, string> = programs): Promise<void> {
  const missing: string[] = [];
  for (const program of Object.keys(wanted)) if (!(await isThere(program))) missing.push(program);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => wanted[program]))].join(" ");
  const remedy = `apt-get install --no-install-recommends ${packages}`;
  const issues: Issue[] = missing.map((program) => ({ path: program, rule: "must be installed", remedy }));
  throw new UserError("The embedded host needs programs that are not here.", issues);
}

/** @throws {UserError} unless this process is root's */
export function requireRoot(what: string): void {
  if (process.getuid?.() === 0) return;
  throw new UserError(`${what} needs root: it makes namespaces, mounts and a bridge of its own.`, [
    {
      path: "user",
      rule: "must be root",
      remedy: "Run the same command by sudo, or name another host in the stack's config.",
    },
  ]);
}

async function isThere(program: string): Promise<boolean> {
  for (const dir of systemPath) {
    const found = await access(path.join(dir, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
