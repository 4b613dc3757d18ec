import {
  appendFileSync,
  chmodSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isConsoleLog } from "../../../src/core/names.ts";
import { ConsoleLog, consoleLogFile, makeConsoleFolder, removeConsoleLog } from "../../../src/libvirt/console-log.ts";
import { type Shell, shellFor } from "../../../src/libvirt/shell.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";

let dir: string;
/** What was read: bytes, in all. */
let read: number;
/** Done once, just before the next read. */
let meanwhile: (() => void) | undefined;

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "console-log-"));
  read = 0;
  meanwhile = undefined;
});
afterEach(() => rmSync(dir, { recursive: true }));

const file = (name: string) => path.join(dir, name);

const real = shellFor("qemu:///system");

/** The shell of this machine, which counts what is read. */
const shell: Shell = {
  uri: real.uri,
  async run(argv, options = {}) {
    if (options.stdout === undefined) return real.run(argv, options);
    meanwhile?.();
    meanwhile = undefined;
    await real.run(argv, options);
    read += fstatSync(options.stdout).size;
    return "";
  },
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
    expect(await textOf(new ConsoleLog(shell, file("console.log")).last(lines))).toBe(last);
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
    expect(await textOf(new ConsoleLog(shell, file("console.log")).last(lines))).toBe(last);
  });

  test("of a VM that was never started are none", async () => {
    expect(await textOf(new ConsoleLog(shell, file("console.log")).last(3))).toBe("");
  });

  test.skipIf(process.getuid?.() !== 0).each(["", "console.log"])(
    "are not taken for none by a user who may not see them (%j)",
    async (closed) => {
      print("a\n");
      chmodSync(dir, 0o711);
      chmodSync(file(closed), 0o600);
      const as = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
      const nobodys: Shell = { ...shell, run: (argv, options) => shell.run([...as, ...argv], options) };
      await expect(textOf(new ConsoleLog(nobodys, file("console.log")).last(2))).rejects.toThrow("Permission denied");
    },
  );

  test("of 3 GiB are read from its end alone", async () => {
    print("");
    truncateSync(file("console.log"), 3 * 2 ** 30);
    print("\none\ntwo\nthree\n");
    expect(await textOf(new ConsoleLog(shell, file("console.log")).last(3))).toBe("one\ntwo\nthree\n");
    expect(read).toBeLessThan(2 ** 18);
  });

  test("of one line without end are its end, not all of it", async () => {
    print("x".repeat(2 ** 20));
    expect((await textOf(new ConsoleLog(shell, file("console.log")).last(3))).length).toBe(3 * 16 * 2 ** 10);
    expect(read).toBeLessThan(2 ** 19);
  });

  test("are found also when the log is rotated while it is looked through", async () => {
    print("one\ntwo\nthree\n");
    meanwhile = () => {
      rotate();
      print("four\n");
    };
    expect(await textOf(new ConsoleLog(shell, file("console.log")).last(2))).toBe("three\nfour\n");
  });
});

test("a log of many MiB comes in pieces of a bounded size", async () => {
  writeFileSync(file("console.log"), Buffer.alloc(20 * 2 ** 20, "line\n"));
  const sizes: number[] = [];
  for await (const piece of new ConsoleLog(shell, file("console.log")).last()) sizes.push(piece.length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(20 * 2 ** 20);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(8 * 2 ** 20);
});

describe("a log that is followed", () => {
  async function follow(...steps: (() => void)[]): Promise<string[]> {
    const log = new ConsoleLog(shell, file("console.log"));
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
    ["is taken away by somebody, and begins again", [() => rmSync(file("console.log")), printed("b\n")], ["", "b\n"]],
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

describe("the folder of a console log", () => {
  test("is no folder of disks", () => {
    expect(consoleLogFile("/vms", "app")).toBe("/vms/app.console/console.log");
  });

  const define = "pool-define-as app.console dir --target /vms/app.console";
  test.each([
    ["is made by libvirt", "", [define, "pool-build app.console", "pool-undefine app.console"]],
    ["that was cut off", "app.console\n", ["pool-build app.console", "pool-undefine app.console"]],
  ])("%s", async (_, pools, wanted) => {
    const asked: string[] = [];
    const run = async (...args: string[]) => {
      if (args[0] === "pool-list") return pools;
      asked.push(args.join(" "));
      return "";
    };
    await makeConsoleFolder({ uri: "fake", run, runPrivately: run }, "/vms", "app");
    expect(asked).toEqual(wanted);
  });

  test("that cannot be made leaves no pool", async () => {
    const asked: string[] = [];
    const run = async (...args: string[]) => {
      asked.push(args[0] ?? "");
      if (args[0] === "pool-build") throw new VirshError("fake", args, 1, "cannot create path: Read-only file system");
      return "";
    };
    const made = makeConsoleFolder({ uri: "fake", run, runPrivately: run }, "/vms", "app");
    await expect(made).rejects.toThrow("Read-only file system");
    expect(asked.at(-1)).toBe("pool-undefine");
  });

  const inFolder = (name: string) => path.join(dir, "app.console", name);
  test("goes with all parts of the log, and what others have beside it stays", async () => {
    mkdirSync(inFolder(""));
    for (const name of ["console.log", "console.log.0", "console.log.12"]) writeFileSync(inFolder(name), "x");
    await removeConsoleLog(shell, dir, "app");
    expect(readdirSync(dir)).toEqual([]);
    await removeConsoleLog(shell, dir, "app");
    expect(readdirSync(dir)).toEqual([]);
  });

  test("with something else in it stays with that", async () => {
    mkdirSync(inFolder(""));
    for (const name of ["console.log", "console.log.gz"]) writeFileSync(inFolder(name), "x");
    await expect(removeConsoleLog(shell, dir, "app")).rejects.toThrow("Directory not empty");
    expect(readdirSync(inFolder(""))).toEqual(["console.log.gz"]);
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
