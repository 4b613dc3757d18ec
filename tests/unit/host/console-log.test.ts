import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isConsoleLog } from "../../../config/names.ts";
import { ConsoleLog } from "../../../host/console-log.ts";
import { type Virsh, VirshError } from "../../../host/virsh.ts";

let dir: string;
/** What was downloaded: bytes, in all. */
let downloaded: number;
/** Done once, just before the next download. */
let meanwhile: (() => void) | undefined;

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "console-log-"));
  downloaded = 0;
  meanwhile = undefined;
});
afterEach(() => rmSync(dir, { recursive: true }));

const file = (name: string) => path.join(dir, name);

/** A pool of real files, as virsh shows them. */
const virsh: Virsh = {
  async run(verb = "", name = "", ...rest) {
    if (verb === "pool-refresh") return "";
    if (verb === "vol-list")
      return readdirSync(dir)
        .map((one) => ` ${one}   ${file(one)}`)
        .join("\n");
    const found = statSync(file(name), { throwIfNoEntry: false });
    if (!found)
      throw new VirshError(
        "fake",
        [verb, name],
        1,
        `Storage volume not found: no storage vol with matching name '${name}'`,
      );
    if (verb === "vol-dumpxml") {
      const times = `<timestamps><mtime>${found.mtimeMs / 1000}</mtime></timestamps>`;
      // As of a guest that prints what looks like a disk of 1 TiB.
      return `<volume><name>${name}</name><capacity>1099511627776</capacity><physical unit='bytes'>${found.size}</physical><target><path>${file(name)}</path><format type='qcow2'/>${times}</target></volume>`;
    }
    meanwhile?.();
    meanwhile = undefined;
    const [target = "", , , , from, , size] = rest;
    const length = Number(size);
    const handle = await open(file(name));
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, Number(from));
    await handle.close();
    downloaded += bytesRead;
    await writeFile(target, buffer.subarray(0, bytesRead));
    return "";
  },
  runPrivately: () => Promise.reject(new Error("not asked for")),
};

const rotations = ["console.log.2", "console.log.1", "console.log.0", "console.log"];

/** As virtlogd does it: four files at most. */
function rotate(): void {
  for (const [i, name] of rotations.entries()) {
    const next = rotations[i - 1];
    if (next && statSync(file(name), { throwIfNoEntry: false })) renameSync(file(name), file(next));
  }
  writeFileSync(file("console.log"), "");
}

const print = (text: string) => appendFileSync(file("console.log"), text);

async function textOf(pieces: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all).toString("latin1");
}

describe("the last lines", () => {
  test.each([
    ["a\nb\nc\n", 2, "b\nc\n"],
    ["a\nb\nc", 2, "b\nc"],
    ["a\n", 5, "a\n"],
    ["\n\n", 1, "\n"],
    ["\n", 1, "\n"],
    ["", 5, ""],
    ["a\nb\n", undefined, "a\nb\n"],
  ])("of %j, %s of them, are %j", async (text, lines, last) => {
    print(text);
    expect(await textOf(new ConsoleLog(virsh, "pool").last(lines))).toBe(last);
  });

  test.each([
    [1, "seven\n"],
    [3, "five\nsix\nseven\n"],
    [6, "two\nthree\nfour\nfive\nsix\nseven\n"],
    [99, "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"],
    [undefined, "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"],
  ])("%s of a log that was rotated, at ends of lines and within one, are %j", async (lines, last) => {
    for (const part of ["one\ntwo\n", "three\nfo", "ur\nfive", "\nsix\nseven\n"]) {
      rotate();
      print(part);
    }
    expect(await textOf(new ConsoleLog(virsh, "pool").last(lines))).toBe(last);
  });

  test("of a VM that was never started are none", async () => {
    expect(await textOf(new ConsoleLog(virsh, "pool").last(3))).toBe("");
  });

  test("of 3 GiB are read from its end alone", async () => {
    print("");
    truncateSync(file("console.log"), 3 * 2 ** 30);
    print("\none\ntwo\nthree\n");
    expect(await textOf(new ConsoleLog(virsh, "pool").last(3))).toBe("one\ntwo\nthree\n");
    expect(downloaded).toBeLessThan(2 ** 18);
  });

  test("of one line without end are its end, not all of it", async () => {
    print("x".repeat(2 ** 20));
    expect((await textOf(new ConsoleLog(virsh, "pool").last(3))).length).toBe(3 * 16 * 2 ** 10);
    expect(downloaded).toBeLessThan(2 ** 19);
  });

  test("are found also when the log is rotated while it is looked through", async () => {
    print("one\ntwo\nthree\n");
    meanwhile = () => {
      rotate();
      print("four\n");
    };
    expect(await textOf(new ConsoleLog(virsh, "pool").last(2))).toBe("three\nfour\n");
  });
});

test("a log of many MiB comes in pieces of a bounded size", async () => {
  writeFileSync(file("console.log"), Buffer.alloc(20 * 2 ** 20, "line\n"));
  const sizes: number[] = [];
  for await (const piece of new ConsoleLog(virsh, "pool").last()) sizes.push(piece.length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(20 * 2 ** 20);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(8 * 2 ** 20);
});

describe("a log that is followed", () => {
  async function follow(...steps: (() => void)[]): Promise<string[]> {
    const log = new ConsoleLog(virsh, "pool");
    const seen = [await textOf(log.last(1))];
    for (const step of steps) {
      step();
      seen.push(await textOf(log.more()));
    }
    return seen;
  }
  const printed = (text: string) => () => print(text);
  const all =
    (...steps: (() => void)[]) =>
    () => {
      for (const step of steps) step();
    };

  test.each<[string, (() => void)[], string[]]>([
    ["goes on", [printed("b\n"), () => {}, printed("c\n")], ["b\n", "", "c\n"]],
    ["was rotated", [rotate, printed("b\n")], ["", "b\n"]],
    ["printed before and after a rotation", [all(printed("b\n"), rotate, printed("c\n"))], ["b\nc\n"]],
    [
      "prints the same again and again",
      [all(rotate, printed("a\n")), all(printed("a\n"), rotate, printed("a\n"))],
      ["a\n", "a\na\n"],
    ],
    ["was rotated twice", [all(printed("b\n"), rotate, printed("c\n"), rotate, printed("d\n"))], ["b\nc\nd\n"]],
    ["loses its oldest part", [all(rotate, rotate, rotate), rotate, printed("b\n")], ["", "", "b\n"]],
    ["is taken away by somebody, and begins anew", [() => rmSync(file("console.log")), printed("b\n")], ["", "b\n"]],
    [
      "has become shorter",
      [all(printed("long\n")), () => writeFileSync(file("console.log"), "b\n")],
      ["long\n", "b\n"],
    ],
    [
      "is rotated while it is read",
      [
        all(printed("b\n"), () => {
          meanwhile = all(rotate, printed("c\n"));
        }),
      ],
      ["b\nc\n"],
    ],
  ])("and %s, shows each line once", async (_, steps, seen) => {
    print("a\n");
    expect(await follow(...steps)).toEqual(["a\n", ...seen]);
  });

  test("from before the VM's first start shows all", async () => {
    expect(await follow(printed("a\n"), all(rotate, printed("b\n")))).toEqual(["", "a\n", "b\n"]);
  });
});

test.each([
  ["console.log", true],
  ["console.log.0", true],
  ["console.log.12", true],
  ["console.logs", false],
  ["console.log.gz", false],
  ["my-console.log", false],
  ["project.qcow2", false],
])("%s is a part of a console log: %s", (name, is) => expect(isConsoleLog(name)).toBe(is));
