import { execa } from "execa";

/** A pattern on a disk image by which it is told again: what it was is what it must be. Written and read past any guest. */
const place = "4M 64k";

/** Writes a marker (a byte from 1 to 255) into an image that no guest has open. */
export async function writeMarker(image: string, byte: number): Promise<void> {
  await qemuIo([image, "-c", `write -P ${byte} ${place}`]);
}

/** @throws Error when the image does not hold that marker, or is damaged */
export async function expectMarker(image: string, byte: number): Promise<void> {
  const answer = await qemuIo(["-r", "-U", image, "-c", `read -P ${byte} ${place}`]);
  if (/Pattern verification failed/.test(answer)) throw new Error(`${image} has lost its marker ${byte}: ${answer}`);
  await execa("qemu-img", ["check", "-U", image]);
}

/** The size of an image as a guest sees it, in MiB. */
export async function sizeOf(image: string): Promise<number> {
  const { stdout } = await execa("qemu-img", ["info", "-U", "--output", "json", image]);
  return (JSON.parse(stdout) as { "virtual-size": number })["virtual-size"] / 2 ** 20;
}

async function qemuIo(args: string[]): Promise<string> {
  return (await execa("qemu-io", args, { all: true })).all;
}
