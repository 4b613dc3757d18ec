import { posix } from "node:path";
import { othersMayChange, type Trusted } from "../core/folder-rights.ts";
import { shellWord } from "../core/shell-word.ts";
import type { Shell } from "./shell.ts";

/** A folder, or a link, on the way to a host's disks. */
interface Step {
  path: string;
  /** As find tells it: `d` for a folder, `l` for a symbolic link, `f` for a file. */
  type: string;
  mode: number;
  uid: number;
  gid: number;
}

/** What is at the places where a host's folder for VMs, and folders in it, are to be. */
export interface StorageLook {
  storageDir: string;
  /** Where the folder for VMs really is, with no link on the way. */
  realDir: string;
  /** Whom the user that programs run as on that host can rely on. */
  trusted: Trusted;
  /** All that is there of the ways to the folder for VMs and to the folders that were asked for, these included. */
  steps: Step[];
  /** Whether nothing is in the folder for VMs yet, but for what each filesystem has. */
  isEmpty: boolean;
  /** What is in the folders that were asked for. */
  entries: { path: string; type: string }[];
  /** Which of their root disks and seeds an update has made, by what is in them. */
  own: string[];
}

/**
 * What is there, each fact with a NUL at its end, for a path may have a line break. A root disk of ours stands on a base image. One of
 * an update that was cut off may hold nothing yet, and so may a seed, which else names its host.
 *
 * Usage: <storageDir> <name of a folder in it>...
 */
const lookScript = `
storage=$1
shift
denied() { echo "$1: Permission denied" >&2; exit 1; }

# What this user may not see is not taken for missing.
is_there() {
  [ ! -e "$1" ] && [ ! -L "$1" ] || return 0
  [ ! -d "\${1%/*}/" ] || [ -x "\${1%/*}/" ] || denied "$1"
  return 1
}

step() { ! is_there "$1" || find "$1" -prune -printf 'step %y %m %U %G %p\\0' || exit; }

way() {
  at=$1
  while [ -n "$at" ]; do
    step "$at"
    at=\${at%/*}
  done
  step /
}

is_blank() { [ "$(stat -L -c %s -- "$1")" -le 1048576 ] && [ -z "$(tr -d '\\0' <"$1" | head -c 1)" ]; }

# Usage: number <file> <offset> <bytes>
number() { echo $((0x$(od -An -v -tx1 -j "$2" -N "$3" -- "$1" | tr -d ' \\n'))); }

is_root_disk() {
  [ -r "$1" ] || denied "$1"
  ! is_blank "$1" || return 0
  [ "$(od -An -v -tx1 -N 4 -- "$1")" = ' 51 46 49 fb' ] && [ "$(stat -L -c %s -- "$1")" -ge 72 ] || return
  [ "$(number "$1" 24 8)" -ne 0 ] || return 0
  offset=$(number "$1" 8 8) length=$(number "$1" 16 4)
  [ "$offset" -gt 0 ] && [ "$length" -le 1023 ] || return
  base=$(tail -c "+$((offset + 1))" -- "$1" | head -c "$length")
  case $base in /*) base=\${base%/*} ;; *) return 1 ;; esac
  [ "$base" = "$storage/base" ] || [ "$base" -ef "$storage/base" ]
}

# Usage: is_seed <file> <project>
is_seed() {
  [ -r "$1" ] || denied "$1"
  is_blank "$1" || head -c 1048576 -- "$1" | grep -aqxF "local-hostname: project-$2"
}

own() { printf 'own %s\\0' "$1"; }

real=$(realpath -m -- "$storage") || exit
printf 'user %s %s %s\\0real %s\\0' "$(id -u)" "$(id -g)" "\${SUDO_UID:-0}" "$real"
way "$storage"
[ "$real" = "$storage" ] || way "$real"
[ ! -d "$storage" ] || [ -z "$(find "$storage/" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)" ] || printf 'used \\0'
for name; do
  folder=$storage/$name
  step "$folder"
  [ ! -L "$folder" ] || way "$(realpath -m -- "$folder")" || exit
  [ -d "$folder" ] || continue
  find "$folder/" -mindepth 1 -maxdepth 1 -printf 'in %y %p\\0' || exit
  [ ! -f "$folder/disk.qcow2" ] || ! is_root_disk "$folder/disk.qcow2" || own "$folder/disk.qcow2"
  [ ! -f "$folder/seed.iso" ] || ! is_seed "$folder/seed.iso" "$name" || own "$folder/seed.iso"
done`;

/**
 * Makes what is not there, for others to pass; the last one, where the disks will be, shows them nothing. What another user has made
 * meanwhile is not taken, and named; another update of root's may have been faster.
 *
 * Usage: <missing folder>...
 */
const makeScript = `
umask 022
for step; do
  mkdir -- "$step" && continue
  [ -e "$step" ] || [ -L "$step" ] || exit
  [ -n "$(find "$step" -prune -type d '(' -uid 0 -o -uid "$(id -u)" ')' ! -perm /022)" ] || { printf %s "$step" && exit; }
done
chmod go-rw -- "$step"`;

/**
 * Looks at the folder for VMs, on the host itself, before anything is put there. Changes nothing.
 *
 * @param folders names of folders in it that are to be made or adopted
 */
export async function lookAtStorage(shell: Shell, storageDir: string, folders: string[]): Promise<StorageLook> {
  const said = await shell.run(["sh", "-c", lookScript, "sh", storageDir, ...folders]);
  const facts = said.split("\0").map((fact) => /^(\w+) ([\s\S]*)$/.exec(fact)?.slice(1) ?? []);
  const all = (kind: string) => facts.flatMap(([is, text]) => (is === kind && text !== undefined ? [text] : []));
  const [uid = 0, group = 0, sudoer = 0] = (all("user")[0] ?? "").split(" ").map(Number);
  const steps = all("step").map((text): [string, Step] => {
    const [, type = "", mode = "", uid, gid, path = ""] = /^(\S+) (\S+) (\S+) (\S+) ([\s\S]*)$/.exec(text) ?? [];
    return [path, { path, type, mode: Number.parseInt(mode, 8), uid: Number(uid), gid: Number(gid) }];
  });
  return {
    storageDir,
    realDir: all("real")[0] ?? storageDir,
    trusted: { users: [uid, 0, sudoer], group },
    steps: [...new Map(steps).values()],
    isEmpty: all("used").length === 0,
    entries: all("in").map((text) => ({ type: text.slice(0, 1), path: text.slice(2) })),
    own: all("own"),
  };
}

/** Where on the way to the disks other users of the host can put something else, why, and what ends that. Pure. */
export function changeableSteps({ steps, trusted }: StorageLook): { path: string; why: string; remedy: string }[] {
  return steps.flatMap(({ path, type, ...rights }) => {
    const why = othersMayChange({ ...rights, isFolder: type === "d" }, trusted);
    if (why === undefined) return [];
    const command = trusted.users.includes(rights.uid) ? "chmod go-w" : "chown -h root";
    return [{ path, why, remedy: `look at what is in it, then: ${command} ${shellWord(path)}` }];
  });
}

/**
 * Makes the folder for VMs, which shows other users nothing. One that is there and empty is closed to them.
 *
 * @returns what another user has put in its way since it was looked at
 */
export async function makeStorage(shell: Shell, { realDir, steps, isEmpty }: StorageLook): Promise<string | undefined> {
  const there = new Map(steps.map((step) => [step.path, step]));
  const missing = wayTo(realDir).filter((step) => !there.has(step));
  if (missing.length > 0) return (await shell.run(["sh", "-c", makeScript, "sh", ...missing])) || undefined;
  if (isEmpty && ((there.get(realDir)?.mode ?? 0) & listable) !== 0) await shell.run(["chmod", "go-rw", "--", realDir]);
  return undefined;
}

/** The rights of other users than its owner by which they can list a folder, or change what is in it. */
const listable = 0o066;

/** @example wayTo("/a/b") // ["/a", "/a/b"] */
function wayTo(folder: string): string[] {
  const above = posix.dirname(folder);
  return above === folder ? [] : [...wayTo(above), folder];
}
