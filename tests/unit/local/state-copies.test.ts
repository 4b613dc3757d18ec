import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { brokenState, describeCopy } from "../../../local/broken-state.ts";

const bak = "stacks/project-vms/local.json.bak";
const history = (number: number) => `history/project-vms/local/local-${number}000000000.checkpoint.json`;
const backup = (number: number) => `backups/project-vms/local/local.${number}000000000.json`;

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "copies-"));
  folder = path.join(root, ".local/state/.pulumi");
  vi.stubEnv("PULUMI_BACKEND_URL", undefined);
  const backend = "backend: {url: 'file://./.local/state?metadata=skip'}";
  writeFileSync(path.join(root, "Pulumi.yaml"), `name: project-vms\n${backend}\n`);
  write("stacks/project-vms/local.json", "", 9);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

/** @param second of the file's own time, after the first of January 2026 */
function write(name: string, content: string | Buffer, second: number): string {
  const place = path.join(folder, name);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, content);
  const time = Date.parse("2026-01-01T00:00:00Z") / 1000 + second;
  utimesSync(place, time, time);
  return place;
}

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
