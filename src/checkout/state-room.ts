import { statfs } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import { shellWord } from "../core/shell-word.ts";
import { formatSize, MiB } from "../core/sizes.ts";
import { checkpointFile, stateFolder } from "./checkpoint.ts";

/**
 * How many times the size of its state an update may need at most: at its end there are four files more at once (the new state before it
 * takes the place of the old one, its `.bak`, and the copies in `history` and `backups`), and by then the state may be twice as big.
 */
const times = 8;

/** What an update may need of a stack that has little or nothing yet: a VM is some 30 KiB of its state. */
const least = 16 * MiB;

/**
 * Makes sure that an engine can write the state of a stack. Where the disk is full, the backend (fileblob of gocloud.dev, v0.46, with
 * `?metadata=skip`) puts what it could write, a cut-off file, in the place of the good one.
 *
 * Where it cannot be asked how much room there is, as of a backend that is no folder, there may be enough.
 *
 * @throws UserError when there is too little
 */
export async function requireStateRoom(root: string, stack: string): Promise<void> {
  const folder = stateFolder(root, "stacks");
  if (folder === undefined) return;
  const room = await roomIn(folder);
  if (room === undefined) return;
  const { size = 0 } = (await checkpointFile(root, stack)) ?? {};
  const needed = Math.max(least, times * size);
  if (room.free < needed) throw tooLittle(stack, room, needed);
}

interface Room {
  folder: string;
  /** In bytes. */
  free: number;
}

/** How much this user can write to a folder, or the one above that it would be made in; undefined: it does not say. */
async function roomIn(folder: string): Promise<Room | undefined> {
  try {
    const { blocks, bavail, bfree, bsize } = await statfs(folder);
    // Some filesystems of networks tell nothing. What is reserved is root's.
    if (blocks === 0) return undefined;
    return { folder, free: (process.getuid?.() === 0 ? bfree : bavail) * bsize };
  } catch (error) {
    const above = path.dirname(folder);
    return (error as NodeJS.ErrnoException).code === "ENOENT" && above !== folder ? roomIn(above) : undefined;
  }
}

function tooLittle(stack: string, { folder, free }: Room, needed: number): UserError {
  return new UserError(`The state of the stack ${stack} has too little room.`, [
    {
      path: folder,
      rule: `must have ${formatSize(needed)} free, but has ${formatSize(free)}: on a full disk the engine cuts the state off`,
      remedy: `free space on the filesystem that it is on (df -h ${shellWord(folder)}), then the same command again`,
    },
  ]);
}
