import { posix } from "node:path";
import type { Shell } from "./shell.ts";

/**
 * Prints which file each of those is that are named on its input, by device and inode behind all links, and so on down what it stands
 * on. Only what is said to be qcow2 is looked into: what a guest wrote at the beginning of a raw disk is its own word.
 */
const lookScript = `
export LC_ALL=C.UTF-8
may_be_qcow2() {
  start=$(timeout -k 5 60 od -An -tx1 -N4 -- "$1" 2>/dev/null) || return 0
  case $start in *'51 46 49 fb'*) ;; *) return 1 ;; esac
}
look() {
  format=$1 file=$2
  for _ in $(seq 200); do
    if ! id=$(stat -L -c %d:%i -- "$file" 2>&1); then
      case $id in
        *'No such file or directory' | *'Not a directory') printf 'missing %s %s\\n' "$format" "$file" ;;
        *) printf 'unseen - %s\\nbecause - %s\\n' "$file" "$(printf %s "$id" | tail -n 1)" ;;
      esac
      return 0
    fi
    printf 'is %s %s\\n' "$id" "$file"
    if [ "$format" = unknown ] && may_be_qcow2 "$file"; then
      printf 'unseen - %s\\nbecause - %s\\n' "$file" "it may be a qcow2 image, but what names it does not say which format it has"
      return 0
    fi
    [ "$format" = qcow2 ] || return 0
    if ! said=$(timeout -k 5 60 qemu-img info -U -f qcow2 "$file" 2>&1); then
      # It may have been removed meanwhile.
      stat -L -- "$file" >/dev/null 2>&1 || continue
      printf 'unseen - %s\\nbecause - %s\\n' "$file" "$(printf %s "$said" | tail -n 1)"
      return 0
    fi
    below=$(printf '%s\\n' "$said" | sed -n 's/^backing file: .* (actual path: \\(.*\\))$/\\1/p; t; s/^backing file: //p' | head -n 1)
    format=$(printf '%s\\n' "$said" | sed -n 's/^backing file format: \\([a-z0-9]*\\)$/\\1/p' | head -n 1)
    [ -n "$below" ] || return 0
    file=$below format=\${format:-unknown}
  done
}
while IFS= read -r line; do
  echo "of - -"
  look "\${line%% *}" "\${line#* }" </dev/null
done`;

/** A file of a host, as a domain, a volume or another file names it. */
export interface NamedFile {
  path: string;
  /** What it is said to be; empty: nothing is said. @example "qcow2" */
  format: string;
}

/** A file that was looked at. */
export interface FileSeen {
  path: string;
  /** Its device and inode, behind all links. Undefined: it is missing, or cannot be looked at. */
  id?: string;
  /** Why it is not known which file it is, or what it stands on. */
  unknown?: string;
  /** Whether that is because it is not there, as on a disk that is not mounted just now. */
  isMissing?: boolean;
}

/**
 * Looks at files of a host, at all in one go: each with those that it stands on, all the way down. Of a domain that is off, libvirt does
 * not tell.
 *
 * @returns for each of them the files seen, itself first; the last one tells why the chain is not known further, if it is not
 */
export async function lookBeneath(shell: Shell, files: NamedFile[]): Promise<FileSeen[][]> {
  if (files.length === 0) return [];
  const named = ({ path }: NamedFile) => path.includes("\n");
  const lineOf = ({ path, format }: NamedFile) => `${format || "unknown"} ${path}\n`;
  // A domain names its disks as it runs and as it starts: each is looked at once.
  const lines = [...new Set(files.filter((file) => !named(file)).map(lineOf))];
  const answers = parseLook(await shell.run(["/bin/sh", "-c", lookScript], { stdin: lines.join("") }));
  const chains = new Map(lines.map((line, i) => [line, answers[i] ?? []]));
  return files.map((file) =>
    named(file) ? [{ path: file.path, unknown: "it has a line break in its name" }] : (chains.get(lineOf(file)) ?? []),
  );
}

function parseLook(output: string): FileSeen[][] {
  const all: FileSeen[][] = [];
  for (const line of output.split("\n")) {
    const [, kind, word = "", rest = ""] = /^(of|is|missing|unseen|because) (\S+) (.*)$/.exec(line) ?? [];
    const chain = all.at(-1);
    const last = chain?.at(-1);
    if (kind === "of") all.push([]);
    else if (kind === "is") chain?.push({ path: rest, id: word });
    else if (kind === "because" && last) last.unknown = rest;
    else if (kind === "unseen" && last?.path !== rest) chain?.push({ path: rest, unknown: "" });
    // What is said to be something else than an overlay, and is not there, is nothing.
    else if (kind === "missing" && ["qcow2", "unknown"].includes(word))
      chain?.push({ path: rest, unknown: "it is not there", isMissing: true });
  }
  return all;
}

/**
 * Those of some files that are, by whatever path, one that a domain has as raw: it stands on nothing. libvirt takes for a backing file
 * what its guest wrote at the beginning.
 *
 * @param raws what domains have as raw
 */
export async function rawAmong(shell: Shell, files: string[], raws: string[]): Promise<Set<string>> {
  if (files.length === 0 || raws.length === 0) return new Set();
  const all = [...files, ...raws].map((path) => ({ path, format: "raw" }));
  const chains = await lookBeneath(shell, all);
  const seen = all.map(({ path }, i): FileSeen => ({ ...chains[i]?.[0], path }));
  const theirs = seen.splice(files.length);
  return new Set(seen.filter((one) => theirs.some((raw) => isSame(one, raw))).map(({ path }) => path));
}

/** An image that stands on another one, or of which that cannot be known. */
export interface OverlayFound {
  image: string;
  /** Why it is not known. */
  unknown?: string;
}

/** The first of these qcow2 images that stands on another one, somewhere down its chain. One that is missing stands on nothing. */
export async function overlayAmong(shell: Shell, images: string[], path: string): Promise<OverlayFound | undefined> {
  const [first] = images;
  if (first === undefined) return undefined;
  try {
    const own = { path, format: "raw" };
    const [[file] = [], ...chains] = await lookBeneath(shell, [
      own,
      ...images.map((image) => ({ path: image, format: "qcow2" })),
    ]);
    for (const [i, chain] of chains.entries()) {
      const image = images[i] as string;
      if (chain.slice(1).some((below) => isSame(below, { path, ...file }))) return { image };
      const unknown = chain.find((one) => one.unknown !== undefined && !one.isMissing)?.unknown;
      if (unknown !== undefined) return { image, unknown };
    }
  } catch (error) {
    return { image: first, unknown: (error as Error).message };
  }
  return undefined;
}

/** Whether two names are of one file: by device and inode, or by what they say where one of them cannot be looked at. */
export const isSame = (a: Pick<FileSeen, "path" | "id">, b: Pick<FileSeen, "path" | "id">) =>
  (a.id !== undefined && a.id === b.id) || posix.normalize(a.path) === posix.normalize(b.path);
