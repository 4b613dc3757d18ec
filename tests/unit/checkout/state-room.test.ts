import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { requireStateRoom } from "../../../src/checkout/state-room.ts";
import { MiB } from "../../../src/core/sizes.ts";
import { SmallDisk } from "../../e2e/support/small-disk.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, statfs: vi.fn(real.statfs) };
});

let root: string;
let stacks: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "room-"));
  stacks = path.join(root, ".local/state/.pulumi/stacks/project-vms");
  writeFileSync(path.join(root, "Pulumi.yaml"), "name: project-vms\nbackend: {url: 'file://./.local/state'}\n");
  vi.stubEnv("PULUMI_BACKEND_URL", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.mocked(statfs).mockClear();
  rmSync(root, { recursive: true });
});

/** Has the filesystem tell that it has so many bytes for its users, and some more for root. */
function tell(free: number, { blocks = 1000 } = {}): void {
  const reserved = process.getuid?.() === 0 ? 0 : 1000;
  const answer = { blocks, bavail: free / 512, bfree: free / 512 + reserved, bsize: 512 };
  vi.mocked(statfs).mockResolvedValueOnce(answer as never);
}

function state(name: string, size: number): void {
  mkdirSync(stacks, { recursive: true });
  writeFileSync(path.join(stacks, name), "");
  truncateSync(path.join(stacks, name), size);
}

test.each([
  ["local.json", 0, 16 * MiB, 16 * MiB - 512],
  ["local.json", 2 * MiB, 16 * MiB, 16 * MiB - 512],
  ["local.json", 3 * MiB, 24 * MiB, 24 * MiB - 512],
  ["local.json.gz", 3 * MiB, 24 * MiB, 24 * MiB - 512],
  ["other.json", 3 * MiB, 16 * MiB, 16 * MiB - 512],
])("beside %s of %d bytes, %d are enough, and %d are not", async (name, size, enough, tooLittle) => {
  state(name, size);
  tell(enough);
  await requireStateRoom(root, "local");
  tell(tooLittle);
  await expect(requireStateRoom(root, "local")).rejects.toThrow("has too little room");
});

test("the error names the folder, what is free and what must be, and what to do", async () => {
  state("local.json", 3 * MiB);
  tell(1.5 * MiB);
  await expect(requireStateRoom(root, "local")).rejects.toThrow(`The state of the stack local has too little room.
  - ${stacks}: must have 24 MiB free, but has 1.5 MiB: on a full disk the engine cuts the state off
    free space on the filesystem that it is on (df -h ${stacks}), then the same command again`);
});

test("where nothing was written yet, the folder that it would be made in is asked", async () => {
  vi.mocked(statfs)
    .mockRejectedValueOnce(Object.assign(new Error("gone"), { code: "ENOENT" }))
    .mockRejectedValueOnce(Object.assign(new Error("gone"), { code: "ENOENT" }));
  tell(MiB);
  const place = path.join(root, ".local/state/.pulumi");
  await expect(requireStateRoom(root, "local")).rejects.toThrow(`${place}: must have 16 MiB free, but has 1 MiB`);
});

describe("nothing is refused", () => {
  test.each(["ENOSYS", "EACCES", "EIO"])("where the filesystem does not answer (%s)", async (code) => {
    vi.mocked(statfs).mockRejectedValueOnce(Object.assign(new Error(code), { code }));
    await requireStateRoom(root, "local");
  });

  test("where it tells nothing", async () => {
    tell(0, { blocks: 0 });
    await requireStateRoom(root, "local");
  });

  test.each(["s3://bucket", "https://api.pulumi.com", "file:///100%"])("in the backend %s", async (url) => {
    vi.stubEnv("PULUMI_BACKEND_URL", url);
    await requireStateRoom(root, "local");
    expect(statfs).not.toHaveBeenCalled();
  });
});

test.runIf(process.getuid?.() === 0)(
  "a small disk that the state is on by a link is asked, and a bigger one does",
  async () => {
    const disk = new SmallDisk(path.join(root, "disk"));
    try {
      await disk.mount("17m");
      mkdirSync(path.join(root, ".local"));
      symlinkSync(disk.folder, path.join(root, ".local/state"));
      await requireStateRoom(root, "local");
      await disk.fill(64 * 1024);
      await expect(requireStateRoom(root, "local")).rejects.toThrow(
        `${root}/.local/state: must have 16 MiB free, but has 0.06 MiB`,
      );
      await disk.makeRoom();
      await requireStateRoom(root, "local");
    } finally {
      await disk.unmount();
    }
  },
);
