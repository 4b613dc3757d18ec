import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { execa, execaSync } from "execa";
import { MiB } from "../../../src/core/sizes.ts";
import { type Disk, imageMarks, imageSize, type Mark } from "./data-model.ts";
import { type ImageConfig, type ImageName, imageNames } from "./sweep-config.ts";

/** Makes the sweep's base images in a folder. */
export function makeImages(folder: string): Record<ImageName, ImageConfig> {
  mkdirSync(folder, { recursive: true });
  const made = imageNames.map((name) => {
    const file = path.join(folder, `${name}.qcow2`);
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", file, `${imageSize}M`]);
    execaSync("qemu-io", [...commands("write", [imageMarks[name]]), file]);
    const sha512 = createHash("sha512").update(readFileSync(file)).digest("hex");
    return [name, { kind: "url", url: pathToFileURL(file).href, sha512 }];
  });
  return Object.fromEntries(made);
}

/** Writes marks into a disk that nobody uses. */
export async function writeMarks(file: string, marks: Mark[]): Promise<void> {
  if (marks.length > 0) await execa("qemu-io", [...commands("write", marks), file]);
}

/**
 * What is wrong with a disk: its size, its backing file, any byte that is not as it was left.
 *
 * @param looked how much of it is looked at, in MiB
 * @param backing name of the base image that it must stand on
 */
export async function diskFaults(file: string, disk: Disk, looked = disk.size, backing?: string): Promise<string[]> {
  const info = await execa("qemu-img", ["info", "--output", "json", file], { reject: false });
  if (info.exitCode !== 0) return [`${file}: ${info.stderr}`];
  const found = JSON.parse(info.stdout);
  const base = found["backing-filename"] && path.basename(found["backing-filename"]);
  const read = await execa("qemu-io", ["-r", ...commands("read", whole(disk.marks, looked * MiB)), file], {
    all: true,
    reject: false,
  });
  return [
    ...(found.format === "qcow2" ? [] : [`${file}: is ${found.format}, not qcow2`]),
    ...(found["virtual-size"] === disk.size * MiB
      ? []
      : [`${file}: has ${found["virtual-size"] / MiB} MiB, not ${disk.size}`]),
    ...(base === backing ? [] : [`${file}: stands on ${base}, not on ${backing}`]),
    ...(read.exitCode === 0 && !read.all.includes("failed") ? [] : [`${file}: ${failuresIn(read.all)}`]),
  ];
}

/** All of a disk up to an offset: its marks, and the zeroes between them. */
function whole(marks: Mark[], end: number): Mark[] {
  const inOrder = [...marks].sort((one, other) => one.at - other.at);
  const starts = [0, ...inOrder.map(({ at, length }) => at + length)];
  const gaps = starts.map((at, i) => ({ at, length: (inOrder[i]?.at ?? end) - at, byte: 0 }));
  return [...inOrder, ...gaps.filter(({ length }) => length > 0)];
}

const commands = (verb: "read" | "write", marks: Mark[]) =>
  marks.flatMap(({ at, length, byte }) => ["-c", `${verb} -P ${byte} ${at} ${length}`]);

const failuresIn = (output: string) =>
  output
    .split("\n")
    .filter((line) => /fail|error|can't|cannot/i.test(line))
    .join("; ");
