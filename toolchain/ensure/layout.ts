import { chmodSync, copyFileSync, linkSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { shellWord } from "../../src/core/shell-word.ts";
import { bridgeVersion, commandVersion, libvirtVersion, tailscaleVersion } from "../plugin/version.ts";

/** The folders of the pieces by their names. */
export type PieceFolders = Record<string, string>;

/**
 * Lays the pieces out as the engine looks for them: the CLI and its language host side by side in `bin`, the plugins
 * in `home`, which becomes PULUMI_HOME.
 *
 * @param folder where to lay them out
 * @param place where the folder will be in the end
 * @param pieces where the pieces are; without the CLI `bin` stays empty
 */
export function layOut(folder: string, place: string, pieces: PieceFolders): void {
  const plugins = join(folder, "home", "plugins");
  mkdirSync(join(folder, "bin"), { recursive: true });
  linkAll(pieces.pulumi, join(folder, "bin"));
  linkAll(pieces["pulumi-language-nodejs"], join(folder, "bin"));
  linkAll(pieces["pulumi-resource-terraform-provider"], join(plugins, `resource-terraform-provider-v${bridgeVersion}`));
  linkAll(pieces["pulumi-resource-command"], join(plugins, `resource-command-v${commandVersion}`));
  linkAll(pieces["pulumi-resource-tailscale"], join(plugins, `resource-tailscale-v${tailscaleVersion}`));
  linkAll(pieces["terraform-provider-libvirt"], join(folder, "libexec"));
  const starter = join(folder, "home", providerPath());
  mkdirSync(dirname(starter), { recursive: true });
  writeFileSync(starter, providerStarter(join(place, "libexec", "terraform-provider-libvirt")));
  chmodSync(starter, 0o755);
}

/** Where the bridge keeps a provider that it has fetched; it asks no registry for one that is there. */
function providerPath(): string {
  const platform = `linux_${process.arch === "arm64" ? "arm64" : "amd64"}`;
  const source = join("dynamic_tf_plugins", "registry.opentofu.org", "dmacvicar", "libvirt");
  return join(source, libvirtVersion, platform, `terraform-provider-libvirt_v${libvirtVersion}`);
}

/**
 * Starts the provider so that it goes when the bridge goes: by itself it can stay behind, 25 MB each time, because it
 * ignores the interrupt by which the engine ends its plugins.
 */
function providerStarter(program: string): string {
  return [
    "#!/bin/sh",
    "if command -v setpriv >/dev/null; then",
    `  exec setpriv --pdeathsig KILL ${shellWord(program)} "$@"`,
    "fi",
    `exec ${shellWord(program)} "$@"`,
    "",
  ].join("\n");
}

/** Hard links where possible: the binaries are 200 MB, and several toolchains have them in common. */
function linkAll(from: string | undefined, to: string): void {
  if (from === undefined) return;
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    try {
      linkSync(join(from, name), join(to, name));
    } catch {
      copyFileSync(join(from, name), join(to, name));
    }
  }
}
