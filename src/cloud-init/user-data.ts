import { readFileSync } from "node:fs";
import { stringify } from "yaml";
import { claudeCodeFiles, tools } from "../images/recipe.ts";

/** What the seed of one VM is made from. */
export interface GuestSettings {
  /** The project's name. */
  name: string;
  hostname: string;
  /** Public keys that may log in as `dev`. */
  sshKeys: string[];
  /** The project disk's virtio serial, by which the guest finds it: letters, digits and dashes, at most 20. */
  diskSerial: string;
  /** A built image has everything in it; in a published one, cloud-init installs what is missing. */
  imageKind: "build" | "url";
}

const scripts = "/usr/local/lib/project-vm";
const identity = "/home/dev/project/.project-vm";

/**
 * The user-data of a VM's seed: who may log in, and the files that give the guest its project disk and its identity.
 * The scripts themselves are files, in src/cloud-init/guest/.
 *
 * @example
 * userData({
 *   name: "myapp",
 *   hostname: "project-myapp",
 *   sshKeys: ["ssh-ed25519 AAAA…"],
 *   diskSerial: "project-0123456789ab",
 *   imageKind: "build",
 * });
 */
export function userData(settings: GuestSettings): string {
  const published = settings.imageKind === "url";
  const config = {
    ...stages(published),
    ssh_pwauth: false,
    users: [
      {
        name: "dev",
        shell: "/bin/bash",
        lock_passwd: true,
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        // In a published image the other two groups come with their packages.
        groups: published ? ["sudo"] : ["docker", "nix-users", "sudo"],
        ssh_authorized_keys: settings.sshKeys,
      },
    ],
    write_files: [...files(settings), ...(published ? installFiles() : [])],
    bootcmd: [["cloud-init-per", "instance", "project-vm", `${scripts}/first-boot`]],
    ...(published ? installSteps() : {}),
  };
  return `#cloud-config\n${stringify(config, { lineWidth: 0 })}`;
}

/**
 * cloud-init's stages, cut to what is used here: every module costs time, and much of what Debian has in by default is
 * for clouds. `ssh` is left out, for it would make host keys, and ours are on the project disk. `bootcmd` comes last in
 * the first stage, when the files are written and dev exists: it is the one way to have the disk mounted and the host
 * keys in place before ssh starts for the first time.
 */
function stages(published: boolean) {
  return {
    cloud_init_modules: [
      "write_files",
      // A built image grows its root by itself, earlier.
      ...(published ? ["growpart", "resizefs"] : []),
      "set_hostname",
      "users_groups",
      "set_passwords",
      "bootcmd",
    ],
    cloud_config_modules: published ? ["apt_configure", "runcmd"] : [],
    // The last one leaves the mark by which a first boot that was cut off is told from one that was not.
    cloud_final_modules: [...(published ? ["package_update_upgrade_install", "scripts_user"] : []), "final_message"],
  };
}

function installSteps() {
  return { package_update: true, packages: [...tools], runcmd: [[`${scripts}/install`]] };
}

/** The script that installs, and what it installs Claude Code by. */
function installFiles(): WriteFile[] {
  const lock = claudeCodeFiles.map(({ name, content }) => textFile(`/usr/local/lib/claude-code/${name}`, content));
  return [guestFile("install", `${scripts}/install`), ...lock];
}

interface WriteFile {
  path: string;
  permissions: "0644" | "0755";
  content: string;
}

function files({ diskSerial }: GuestSettings): WriteFile[] {
  const units = "/etc/systemd/system";
  return [
    textFile("/etc/project-vm/settings", `DISK_SERIAL=${diskSerial}\n`),
    // Claude Code is renewed with the image, or by root: dev cannot write to where it is installed.
    textFile("/etc/environment", `CLAUDE_CONFIG_DIR=${identity}/claude\nDISABLE_AUTOUPDATER=1\n`),
    textFile("/etc/nix/nix.conf", "sandbox = true\nexperimental-features = nix-command flakes\n"),
    guestFile("sshd.conf", "/etc/ssh/sshd_config.d/10-project-vm.conf"),
    guestFile("tailscaled.conf", `${units}/tailscaled.service.d/project-vm.conf`),
    guestFile("project-vm-disk.service", `${units}/project-vm-disk.service`),
    guestFile("project-vm-identity.service", `${units}/project-vm-identity.service`),
    ...["disk", "identity", "check", "first-boot"].map((name) => guestFile(name, `${scripts}/${name}`)),
  ];
}

function textFile(path: string, content: string): WriteFile {
  return { path, permissions: "0644", content };
}

/** A file of src/cloud-init/guest/, as it is; what begins with `#!` is a program. */
function guestFile(name: string, path: string): WriteFile {
  const content = readFileSync(new URL(`guest/${name}`, import.meta.url), "utf8");
  return { path, permissions: content.startsWith("#!") ? "0755" : "0644", content };
}
