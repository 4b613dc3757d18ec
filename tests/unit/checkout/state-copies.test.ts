import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { brokenState, describeCopy, requireReadableState, restoreState } from "../../../src/checkout/broken-state.ts";
import { examineStateFiles } from "../../../src/operations/doctor/engine.ts";
import { writeAt } from "../make/write-at.ts";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, writeFileSync: vi.fn(real.writeFileSync) };
});
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, statfs: vi.fn(real.statfs) };
});

const bak = "stacks/project-vms/local.json.bak";
const history = (number: number) => `history/project-vms/local/local-${number}000000000.checkpoint.json`;
const backup = (number: number) => `backups/project-vms/local/local.${number}000000000.json`;

let root: string;
let folder: string;
let file: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "copies-"));
  folder = path.join(root, ".local/state/.pulumi");
  vi.stubEnv("PULUMI_BACKEND_URL", undefined);
  const backend = "backend: {url: 'file://./.local/state?metadata=skip'}";
  writeFileSync(path.join(root, "Pulumi.yaml"), `name: project-vms\n${backend}\n`);
  file = write("stacks/project-vms/local.json", "", 9);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

const write = (name: string, content: string | Buffer, second: number) =>
  writeAt(path.join(folder, name), content, second);

/** A state as the engine writes it at a time, with its zone and nanoseconds; without one: that of a stack that was just begun. */
const written = (time?: string) =>
  JSON.stringify({ version: 3, checkpoint: { stack: "x", latest: time ? { manifest: { time } } : null } });

describe("the newest copy is the one that was written last,", () => {
  test.each<[string, string, [string, string | Buffer, number][]]>([
    [
      "by the time that it says, in whatever zone, and not by its file's",
      history(1767225606),
      [
        [history(1767225605), written("2026-01-05T10:00:00.999999999+02:00"), 8],
        [history(1767225606), written("2026-01-05T09:00:00.123456789Z"), 1],
        [bak, written("2026-01-05T08:59:59Z"), 7],
      ],
    ],
    [
      "and not by its name, of a time when the clock was wrong",
      bak,
      [
        [history(1999999999), written("2026-01-05T08:00:00Z"), 8],
        [bak, written("2026-01-05T09:00:00Z"), 1],
      ],
    ],
    [
      "also where it is compressed",
      `${history(1767225606)}.gz`,
      [
        [history(1767225605), written("2026-01-05T08:00:00Z"), 8],
        [`${history(1767225606)}.gz`, gzipSync(written("2026-01-05T09:00:00Z")), 1],
      ],
    ],
    [
      "by its name where both are of one time",
      backup(1767225607),
      [
        [history(1767225606), written("2026-01-05T09:00:00Z"), 8],
        [backup(1767225607), written("2026-01-05T09:00:00Z"), 1],
      ],
    ],
    [
      "and one that says no time is of the beginning",
      bak,
      [
        [history(1767225606), written(), 8],
        [bak, written("2026-01-05T09:00:00Z"), 1],
      ],
    ],
  ])("%s", async (_, newest, files) => {
    for (const one of files) write(...one);
    expect((await brokenState(root, "local"))?.copy?.file).toBe(path.join(folder, newest));
  });

  test("and that time is told", async () => {
    write(bak, written("2026-01-05T10:00:00.5+01:00"), 1);
    const copy = (await brokenState(root, "local"))?.copy;
    expect(copy && describeCopy("local", copy)).toContain("local.json.bak, of 2026-01-05T09:00:00.500Z; ");
  });
});

describe("where the disk is full", () => {
  beforeEach(() => write(bak, written("2026-01-05T09:00:00Z"), 1));

  test("before it is begun, nothing is put back, nor aside", async () => {
    vi.mocked(statfs).mockResolvedValueOnce({ blocks: 9, bavail: 0, bfree: 0, bsize: 512 } as never);
    await expect(restoreState(root, "local", () => undefined)).rejects.toThrow("local has too little room.");
    expect(readdirSync(path.dirname(file))).toEqual(["local.json", "local.json.bak"]);
  });

  test.each(["ENOSPC", "EDQUOT"])("while it is done (%s), that is told, and no try leaves anything", async (code) => {
    const error = Object.assign(new Error(`${code}: no room`), { code });
    for (const _ of ["once", "again"]) {
      vi.mocked(writeFileSync).mockImplementationOnce(() => {
        throw error;
      });
      await expect(restoreState(root, "local", () => undefined)).rejects.toThrow(`The state could not be put back.
  - ${file}: must have room beside it for ${path.join(folder, bak)} (${code}: no room)
    free space on the filesystem that it is on (df -h ${path.dirname(file)}), then the same command again`);
      expect(readdirSync(path.dirname(file))).toEqual(["local.json", "local.json.bak"]);
      expect(readFileSync(file, "utf8")).toBe("");
    }
  });
});

describe("a copy that is compressed by zstd, which is not read here,", () => {
  const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
  const january5 = 4 * 24 * 3600;

  test.each([true, false])(
    "and may be the newest is named, and nothing put back (with an older one: %s)",
    async (older) => {
      const plain = older && write(history(1767225606), written("2026-01-05T00:00:00Z"), 1);
      const newest = write(bak, zstd, january5 + 1);
      const [found] = await examineStateFiles(root, "local", () => undefined);
      const aside = `mv -n ${file} ${file}.unreadable`;
      const remedy = `a copy that may be the newest cannot be read here: if it is whole (zstd -t ${newest}), ${aside} && cp ${newest} ${file}; if not, `;
      expect(found).toMatchObject({ level: "failure", fix: "none" });
      expect(found?.remedy).toContain(remedy + (plain ? `${aside} && cp ${plain} ${file}` : "there is no whole copy"));
      await expect(requireReadableState(root, "local")).rejects.toThrow(remedy);
      await restoreState(root, "local", () => undefined);
      expect(readFileSync(file, "utf8")).toBe("");
    },
  );

  test("and is older than a whole one is in nobody's way", async () => {
    write(bak, zstd, january5 - 1);
    write(history(1767225606), written("2026-01-05T00:00:00Z"), 1);
    const [found] = await examineStateFiles(root, "local", () => undefined);
    expect(found).toMatchObject({ level: "failure", fix: "possible" });
  });
});
