import { posix } from "node:path";
import type { Shell } from "./shell.ts";

/**
 * Prints what an image stands on, all the way down. One that is missing stands on nothing. Only what is said to be qcow2 is looked into:
 * what a guest wrote at the beginning of a raw disk is its own word.
 */
const chainScript = `
set -eu
export LC_ALL=C.UTF-8
file=$1
for _ in $(seq 200); do
  [ -e "$file" ] || exit 0
  said=$(timeout -k 5 60 qemu-img info -U -f qcow2 "$file")
  file=$(printf '%s\\n' "$said" | sed -n 's/^backing file: .* (actual path: \\(.*\\))$/\\1/p; t; s/^backing file: //p')
  [ -n "$file" ] || exit 0
  printf '%s\\n' "$file"
  printf '%s\\n' "$said" | grep -qx 'backing file format: qcow2' || exit 0
done`;

/** An image that stands on another one, or of which that cannot be known. */
export interface OverlayFound {
  image: string;
  /** Why it is not known. */
  unknown?: string;
}

/** The first of these images that stands on another one, somewhere down its chain. Of a domain that is off, libvirt does not tell. */
export async function overlayAmong(shell: Shell, images: string[], path: string): Promise<OverlayFound | undefined> {
  for (const image of images) {
    try {
      const below = (await shell.run(["/bin/sh", "-c", chainScript, "chain", image])).split("\n");
      if (below.some((file) => posix.normalize(file) === path)) return { image };
    } catch (error) {
      return { image, unknown: (error as Error).message };
    }
  }
  return undefined;
}
