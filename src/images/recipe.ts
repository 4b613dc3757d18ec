import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** What a development VM has, in a built image as in a published one (see `published` in src/cloud-init/user-data.ts). */
export const tools: readonly string[] = [
  "docker.io",
  "docker-cli",
  "docker-compose",
  "iptables",
  "git",
  "curl",
  "vim",
  "tmux",
  "jq",
  "nix-bin",
  "nix-setup-systemd",
  "nodejs",
  "npm",
  "qemu-guest-agent",
  "ca-certificates",
  "bash-completion",
  "less",
];

/** What makes a tree of packages a system that boots, has a network and lets one in. */
const system: readonly string[] = [
  "systemd",
  "systemd-sysv",
  "systemd-resolved",
  "systemd-timesyncd",
  "dbus",
  "libpam-systemd",
  "udev",
  "kmod",
  // The kernel without drivers for real hardware: it boots sooner, and nothing is missing that a libvirt guest needs.
  "linux-image-cloud-amd64",
  "initramfs-tools",
  "zstd",
  "e2fsprogs",
  "cloud-init",
  "cloud-guest-utils",
  "openssh-server",
  "sudo",
  "mount",
  "login",
  "iproute2",
  "iputils-ping",
  "netbase",
  "procps",
  "debian-archive-keyring",
];

/** What a base image is built from. All that may change what comes out is in here or in the build's own files. */
export interface Recipe {
  suite: string;
  packages: readonly string[];
  /** Version of Claude Code, from npm, locked in src/images/claude-code/. */
  claudeCode: string;
  /** Version of Tailscale: Debian has no package of it, so it is built from its Go module (src/images/tailscale/go.mod). */
  tailscale: string;
  /** Virtual size in MiB: the least that a VM's root disk can have. What is installed takes 1.6 GiB. */
  diskMiB: number;
}

/** Claude Code as VMs come with it, whatever their image: npm's two files, which pin its version and the digests of its packages. */
export const claudeCodeFiles = ["package.json", "package-lock.json"].map((name) => ({
  name,
  content: readFileSync(new URL(`claude-code/${name}`, import.meta.url), "utf8"),
}));

/** Its version. */
const claudeCodeVersion = (JSON.parse(claudeCodeFiles[0]?.content ?? "") as { dependencies: Record<string, string> })
  .dependencies["@anthropic-ai/claude-code"] as string;

/** The image that `kind: build` stands for. */
export const debianTesting: Recipe = {
  suite: "testing",
  packages: [...system, ...tools],
  claudeCode: claudeCodeVersion,
  tailscale: "1.98.10",
  diskMiB: 4096,
};

/** A file that takes part in the build: its path, from src/images/, and its content. */
export interface BuildFile {
  path: string;
  content: string;
}

/**
 * The address of what a recipe gives, before it was ever built: two equal digests need one build.
 * The order of the files is of no importance.
 *
 * @returns sha256 in hex
 */
export function recipeDigest(recipe: Recipe, files: readonly BuildFile[]): string {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts = sorted.map(({ path, content }) => [path, content]);
  return createHash("sha256")
    .update(JSON.stringify([recipe, parts]))
    .digest("hex");
}

/** Where Debian's packages come from. */
export interface Mirror {
  uri: string;
  /** Whether its lists of packages must not be older than Debian says: what is older may lack a security fix that is out. */
  checksValidUntil: boolean;
}

/** The environment that build-debian.sh reads. */
export function buildEnvironment(
  recipe: Recipe,
  { uri, checksValidUntil }: Mirror,
  work: string,
  output: string,
): Record<string, string> {
  return {
    MIRROR: uri,
    CHECK_VALID_UNTIL: String(checksValidUntil),
    SUITE: recipe.suite,
    PACKAGES: recipe.packages.join(" "),
    CLAUDE_CODE: recipe.claudeCode,
    TAILSCALE: recipe.tailscale,
    DISK_MIB: String(recipe.diskMiB),
    WORK: work,
    OUTPUT: output,
  };
}
