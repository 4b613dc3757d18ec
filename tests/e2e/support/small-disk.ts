import { existsSync, mkdirSync, statfsSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";

/** A folder of a host on a filesystem of its own, which can be filled up to the last bytes. */
export class SmallDisk {
  private readonly filler: string;

  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    this.filler = path.join(folder, "filler");
  }

  /** @param size as tmpfs takes it, e.g. `8g`; memory is only used for what is written */
  async mount(size: string): Promise<void> {
    mkdirSync(this.folder, { recursive: true });
    await execa("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", this.folder]);
  }

  /** Takes away what an earlier run has left, too. */
  async unmount(): Promise<void> {
    if (!existsSync(this.folder)) return;
    const { exitCode } = await execa("mountpoint", ["-q", this.folder], { reject: false });
    if (exitCode === 0) await execa("umount", ["--lazy", this.folder]);
  }

  /** Leaves only so many bytes free. */
  async fill(left: number): Promise<void> {
    const { bavail, bsize } = statfsSync(this.folder);
    await execa("fallocate", ["--length", String(bavail * bsize - left), this.filler]);
  }

  async makeRoom(): Promise<void> {
    await execa("rm", [this.filler]);
  }
}
