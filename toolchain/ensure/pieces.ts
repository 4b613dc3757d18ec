import { bridgeVersion, commandVersion, libvirtVersion, pulumiVersion, tailscaleVersion } from "../plugin/version.ts";
import { checkoutFolder, contentsOf, digestOf, sourceFolder } from "./places.ts";

/** A part of the toolchain that is made here, and kept by the digest of what it is made of. */
export interface Piece {
  /** The name of its file, and of its folder in the cache. */
  name: string;
  /** For the progress lines. */
  title: string;
  /** Changes with all that the piece is made of. */
  digest: string;
}

/** A program built from pinned Go modules. */
export interface GoPiece extends Piece {
  /** The folder with go.mod and go.sum, seen from toolchain/. */
  module: string;
  /** The package of the program. */
  package: string;
  /** Go variables to set in the program. */
  variables: Record<string, string>;
  /** Build tags. */
  tags?: readonly string[];
  /** How long a first build takes on two cores, for the progress line. */
  expected: string;
}

/** A stand-in: TypeScript, bundled into one file, started by a shell script. */
export interface BundlePiece extends Piece {
  /** The folder with its main.ts, below toolchain/. */
  source: string;
  /** What else it is made of, below toolchain/. */
  shared: readonly string[];
}

/** What is built from Go modules. */
export function goPieces(): GoPiece[] {
  const pieces: Omit<GoPiece, "digest">[] = [
    {
      name: "pulumi",
      title: "the Pulumi CLI",
      module: "pulumi",
      package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
      variables: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": `v${pulumiVersion}` },
      expected: "about 3 minutes",
    },
    {
      name: "pulumi-resource-terraform-provider",
      title: "the Terraform bridge",
      module: "bridge",
      package: "github.com/pulumi/pulumi-terraform-bridge/v3/dynamic",
      variables: { "github.com/pulumi/pulumi-terraform-bridge/v3/dynamic/version.version": bridgeVersion },
      expected: "about 2 minutes",
    },
    {
      name: "terraform-provider-libvirt",
      title: "the libvirt provider",
      module: "libvirt",
      package: "github.com/dmacvicar/terraform-provider-libvirt",
      variables: { "main.version": libvirtVersion },
      expected: "about half a minute",
    },
  ];
  return pieces.map(goPiece);
}

/** Completes the description of a Go program by its digest. */
export function goPiece(piece: Omit<GoPiece, "digest">): GoPiece {
  const modules = contentsOf(sourceFolder, [`${piece.module}/go.mod`, `${piece.module}/go.sum`]);
  return { ...piece, digest: digestOf([...modules, ...goFlags(piece), process.platform, process.arch]) };
}

/** The flags of `go build`: the same binary on every machine, nothing of the machine in it, no C compiler needed. */
export function goFlags({ variables, tags = [] }: Pick<GoPiece, "variables" | "tags">): string[] {
  const settings = Object.entries(variables).map(([name, value]) => `-X ${name}=${value}`);
  const flags = ["-trimpath", "-buildvcs=false", `-ldflags=${["-s", "-w", ...settings].join(" ")}`];
  return tags.length > 0 ? [...flags, `-tags=${tags.join(",")}`] : flags;
}

/** What every stand-in is made of, below toolchain/: how it is run, and how it is served. */
const common = [
  "plugin",
  ...["run-program", "errors", "printable", "given-secrets", "shell-word", "counted", "records", "names"].map(
    (name) => `../src/core/${name}.ts`,
  ),
];

/** The stand-ins. */
export function bundlePieces(): BundlePiece[] {
  const pieces: Omit<BundlePiece, "digest">[] = [
    {
      name: "pulumi-language-nodejs",
      title: "the stand-in for the language host",
      source: "language-nodejs",
      shared: common,
    },
    {
      name: "pulumi-resource-command",
      title: `the stand-in for command ${commandVersion}`,
      source: "command",
      shared: common,
    },
    {
      name: "pulumi-resource-tailscale",
      title: `the stand-in for tailscale ${tailscaleVersion}`,
      source: "tailscale",
      shared: [...common, "command/values.ts"],
    },
  ];
  const libraries = contentsOf(checkoutFolder, ["package-lock.json"]);
  return pieces.map((piece) => {
    const sources = contentsOf(sourceFolder, [...piece.shared, piece.source]);
    return { ...piece, digest: digestOf([...sources, ...libraries]) };
  });
}
