import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { keepingFile } from "../../../src/checkout/stack-file.ts";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, writeFileSync: vi.fn(real.writeFileSync) };
});

const text = "config:\n  project-vms:projects: {app: {}}\n";
const log = vi.fn();
let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "keeping-"));
  file = path.join(folder, "Pulumi.local.yaml");
  writeFileSync(file, text);
});
afterEach(() => {
  vi.mocked(writeFileSync).mockReset();
  log.mockReset();
  rmSync(folder, { recursive: true });
});

/** From now on the disk has no room for another file, and in those that are there for so many bytes; the rest is not written. */
async function fillDisk(room: number): Promise<void> {
  const real = await vi.importActual<typeof import("node:fs")>("node:fs");
  vi.mocked(writeFileSync).mockImplementation((place, data, options) => {
    const isNew = !real.existsSync(place as string);
    const given = Buffer.from(data as Uint8Array);
    if (!isNew) real.writeFileSync(place, given.subarray(0, room), options);
    if (isNew || given.length > room) throw Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
  });
}

/** An engine that is stopped after it has emptied the file. */
async function stopped(room: number): Promise<never> {
  writeFileSync(file, "");
  await fillDisk(room);
  throw new Error("the engine's own error");
}

test("on a full disk a file that an engine emptied is put back in place, and the engine's error stays", async () => {
  await expect(keepingFile(file, () => stopped(1000), log)).rejects.toThrow("the engine's own error");
  expect([readFileSync(file, "utf8"), readdirSync(folder)]).toEqual([text, ["Pulumi.local.yaml"]]);
});

test("it is put back where a link leads, which stays", async () => {
  const link = path.join(folder, "link.yaml");
  symlinkSync("Pulumi.local.yaml", link);
  await expect(keepingFile(link, () => stopped(1000), log)).rejects.toThrow("the engine's own error");
  expect([readFileSync(file, "utf8"), readdirSync(folder)]).toEqual([text, ["Pulumi.local.yaml", "link.yaml"]]);
});

test("where not even that has room it stays empty, since half of it would be fewer projects", async () => {
  await expect(keepingFile(file, () => stopped(10), log)).rejects.toThrow("the engine's own error");
  expect(readFileSync(file, "utf8")).toBe("");
});

test("what had room of it then is kept beside, and told", async () => {
  chmodSync(file, 0o640);
  await expect(keepingFile(file, () => stopped(10), log)).rejects.toThrow("the engine's own error");
  const [name = "", aside = "", ...others] = readdirSync(folder).sort();
  expect([name, others, statSync(file).mode & 0o777]).toEqual(["Pulumi.local.yaml", [], 0o640]);
  expect(aside).toMatch(/^Pulumi\.local\.yaml\.[-0-9a-f]{36}\.cut-off$/);
  expect(readFileSync(path.join(folder, aside), "utf8")).toBe(text.slice(0, 10));
  const said = `${file} could not be put back, and is empty now; what had room of it is in ${path.join(folder, aside)}`;
  expect(log.mock.calls).toEqual([[said]]);
});

test("that it could not be put back is told where the engine had no error of its own", async () => {
  const work = () => stopped(10).catch(() => "done");
  await expect(keepingFile(file, work, log)).rejects.toThrow("ENOSPC");
});

/** A file of so many bytes, as its user writes it: with white space of their own, and a comment at its end. */
function fileOf(length: number): string {
  const project = (_: unknown, index: number) => `\n    project-${index}: { memory:  2 GiB }\n`;
  const projects = Array.from({ length: 200 }, project).join("");
  const end = "\n# the end of it\n";
  return `config:\n  project-vms:projects:\n${projects.slice(0, length - 32 - end.length - 3)} #\n${end}`.padEnd(
    length,
    "\n",
  );
}

const salt = "encryptionsalt: v1:UGZuS8n1YOA=:v1:qmj7+jixIrBnYWwc:KxLde4Bolpc4JlVMXQVmlrjW2i3dHg==\n";
/** As an engine prints it, with the salt behind the last key. */
const printed = (before: string) =>
  `${before.replace(/\n+/g, "\n").replace(/ {2}2/g, " 2").replace("# the end", `${salt}\n# the end`)}`;

describe("of a file of which", () => {
  async function kept(before: string, now: string, fails = true): Promise<string> {
    writeFileSync(file, before);
    const work = async () => {
      writeFileSync(file, now);
      if (fails) throw new Error("no space left on device");
    };
    await keepingFile(file, work, log).catch(() => undefined);
    return readFileSync(file, "utf8");
  }
  const cutInSalt = (word: string) => {
    for (let length = 4200; length < 4600; length++) {
      const now = printed(fileOf(length)).slice(0, 4096);
      if (now.endsWith(`\n${word}`)) return [fileOf(length), now] as const;
    }
    throw new Error(`no file is cut off behind ${word}`);
  };

  test.each<[string, readonly [string, string]]>([
    ["the beginning alone", [fileOf(5472), fileOf(5472).slice(0, 4096)]],
    ["the beginning of the engine's print", [fileOf(9000), printed(fileOf(9000)).slice(0, 4096)]],
    ["all but the end of the salt", cutInSalt("encryptionsalt: v1:UG")],
    ["no more than the key of the salt", cutInSalt("encryptions")],
    ["the comment behind the salt not", cutInSalt(`${salt}\n# the`)],
  ])("%s was written by an engine that failed, all is put back, and told", async (_, [before, now]) => {
    expect(now.length % 512).toBe(0);
    expect(await kept(before, now)).toBe(before);
    const said = `${file} was cut off, as a write of the engine failed: it is put back as it was before`;
    expect(log.mock.calls).toEqual([[said]]);
  });

  const whole = fileOf(5472);
  test.each<[string, string, string, boolean]>([
    ["the user took the last lines, however the work ended", whole, whole.slice(0, whole.indexOf("project-90")), true],
    ["the beginning is there, but the work did what it should", whole, whole.slice(0, 4096), false],
    ["a salt is noted, so that no engine writes it", `${salt}${whole}`, `${salt}${whole}`.slice(0, 4096), true],
    ["something else is there", whole, whole.replace("memory", "cpus").slice(0, 4096), true],
    [
      "all was written",
      fileOf(4096 - 2 * salt.length),
      `${fileOf(4096 - 2 * salt.length)}${salt}`.padEnd(4096, "\n"),
      true,
    ],
  ])("%s, nothing is put back", async (_, before, now, fails) => {
    expect(await kept(before, now, fails)).toBe(now);
    expect(log).not.toHaveBeenCalled();
  });

  const merged = `config:\n  project-vms:projects:\n    base: &base { memory: 2 GiB }\n${"    app-N: *base\n".repeat(99)}`;
  const mergedPrint = merged.replaceAll("*base", "\n      memory: 2 GiB").slice(0, 1024);
  const edited = mergedPrint.slice(0, 1000);
  test.each([
    ["the engine says, as it begins a stack,", "saving stack config: write x: no space left", mergedPrint, merged],
    [
      "the engine says, as it works on one,",
      "getting stack configuration: save stack config: write x: no space left on device",
      mergedPrint,
      merged,
    ],
    [
      "the engine says, where a server has no room,",
      "saving stack config: close x: quota exceeded",
      mergedPrint,
      merged,
    ],
    ["the engine says something else than", "saving stack config: read x: no", mergedPrint, mergedPrint],
    ["the user has written another meanwhile than", "saving stack config: write x: no space left", edited, edited],
  ])(
    "%s that it could not write it, all is put back that it may have written, however it prints it",
    async (_, why, now, expected) => {
      writeFileSync(file, merged);
      const work = async () => {
        writeFileSync(file, now);
        throw new Error(`code: 255\nerror: ${why}`);
      };
      await expect(keepingFile(file, work, log, (error) => (error as Error).message)).rejects.toThrow("code: 255");
      expect(readFileSync(file, "utf8")).toBe(expected);
    },
  );

  test("another was put in its place, as editors do, nothing is put back", async () => {
    writeFileSync(file, whole);
    const work = async () => {
      writeFileSync(`${file}.new`, whole.slice(0, 4096));
      renameSync(`${file}.new`, file);
      throw new Error("no");
    };
    await expect(keepingFile(file, work, log)).rejects.toThrow("no");
    expect(readFileSync(file, "utf8")).toBe(whole.slice(0, 4096));
  });

  test("the beginning is there and has no room to grow, that is kept beside, and the file left empty", async () => {
    writeFileSync(file, whole);
    const work = async () => {
      writeFileSync(file, whole.slice(0, 4096));
      await fillDisk(4608);
      throw new Error("the engine's own error");
    };
    await expect(keepingFile(file, work, log)).rejects.toThrow("the engine's own error");
    const [, aside = ""] = readdirSync(folder).sort();
    expect(["Pulumi.local.yaml", aside].map((name) => readFileSync(path.join(folder, name), "utf8"))).toEqual([
      "",
      whole.slice(0, 4608),
    ]);
  });
});
