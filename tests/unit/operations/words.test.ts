import { createReadStream, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GuestAgent } from "../../../src/guest/agent.ts";
import { asScp, copySide } from "../../../src/operations/copy.ts";
import { asUser, cutNotice, pipedInput } from "../../../src/operations/exec.ts";
import { lastLines, logInGuest, printLog } from "../../../src/operations/logs.ts";
import { isCurrent } from "../../../src/operations/ssh-targets.ts";
import { aHostKey, anAddress } from "../guest/samples.ts";

describe("a side of a copy", () => {
  test.each([
    ["myapp:notes.md", "project-myapp:notes.md"],
    ["myapp:", "project-myapp:"],
    ["my-app:/tmp/a b:c", "project-my-app:/tmp/a b:c"],
    ["notes.md", "./notes.md"],
    ["-r", "./-r"],
    ["./a:b", "./a:b"],
    ["/tmp/a:b", "/tmp/a:b"],
    ["../up", "../up"],
    [".", "./."],
    ["Up:case", "./Up:case"],
  ])("%s is %s to scp", (text, scp) => {
    expect(asScp(copySide(text))).toBe(scp);
  });
});

test("the words of a command reach it as they are, in its user's login environment and home", () => {
  const command = ["sh", "-c", 'echo "$HOME" $1', "x y"];
  expect(asUser("dev", command)).toEqual([
    ...["/usr/bin/sudo", "--set-home", "--user=dev", "--"],
    ...["/bin/bash", "--login", "-c", 'cd && exec "$@"', "bash"],
    ...command,
  ]);
});

test("what was not handed over of an output is reported, with the way to all of it", () => {
  expect(cutNotice("myapp")).toBe(
    "It wrote more than 2 MiB of output or 0.5 MiB of errors: the rest is lost. Have all of it by project-vm ssh myapp -- COMMAND, or write it to a file there, and project-vm cp it.",
  );
});

describe("what a program reads", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), "input-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const opened = (file: string) => {
    const fd = openSync(file, "r");
    return Object.assign(createReadStream("", { fd }), { fd });
  };
  const file = (contents: Buffer) => {
    const name = path.join(dir, "input");
    writeFileSync(name, contents);
    return opened(name);
  };

  test("is a file as it is, whole", async () => {
    const contents = Buffer.from([0, 255, 10, 13, ...Buffer.alloc(2 ** 16 - 4, 7)]);
    expect(contents.equals((await pipedInput(file(contents))) as Buffer)).toBe(true);
  });

  test("is nothing where it is a device", async () => {
    expect(await pipedInput(opened("/dev/null"))).toBeUndefined();
  });

  test("is never more than the guest can be given", async () => {
    await expect(pipedInput(file(Buffer.alloc(2 ** 16 + 1)))).rejects.toThrow(
      /must be at most 64 KiB.*\n.*project-vm ssh/,
    );
  });
});

describe("what SSH goes to", () => {
  const target = { name: "webapp", addresses: [anAddress("10.77.0.5")], hostKeys: [aHostKey()] };
  test.each([
    [target, ["10.77.0.5"], true],
    [target, ["10.77.0.9"], false],
    [target, [], true],
    [{ ...target, addresses: [] }, ["10.77.0.5"], false],
    [{ ...target, hostKeys: [] }, ["10.77.0.5"], false],
    [undefined, ["10.77.0.5"], false],
  ])("%j with the addresses %j is of now: %s", (known, addresses, current) => {
    expect(isCurrent(known, addresses)).toBe(current);
  });
});

describe("a log", () => {
  test.each([
    ["a\nb\nc\n", 2, "b\nc\n"],
    ["a\nb\nc", 2, "b\nc"],
    ["a\n", 5, "a\n"],
    ["", 5, ""],
  ])("%j has as its last lines %i: %j", (text, count, lines) => {
    expect(lastLines(text, count)).toBe(lines);
  });

  test("of cloud-init that is too long for the agent is refused, with the way to its end", async () => {
    const exec = { exited: true, exitcode: 0, "out-data": Buffer.alloc(2 ** 21 + 1, "A").toString("base64") };
    const run = async () => JSON.stringify({ return: { pid: 1, ...exec } });
    const log = logInGuest(new GuestAgent({ uri: "fake", run, runPrivately: run }, "project-app"), "app");
    await expect(printLog(log, {}, () => {})).rejects.toThrow(
      "/var/log/cloud-init-output.log: must have at most 1.5 MiB to be handed over by its guest agent\n    its end: project-vm exec app -- tail -n 100 /var/log/cloud-init-output.log; all of it: project-vm ssh app -- sudo cat /var/log/cloud-init-output.log",
    );
  });

  test("is printed from its end on, and followed, letters whole and without what only terminals want", async () => {
    async function* last(lines?: number) {
      expect(lines).toBe(1);
      yield Buffer.from("two\r\n");
    }
    // A letter of two bytes, which the looks come between.
    const pieces = [Buffer.from("three\u00e9\n").subarray(0, 6), Buffer.from("three\u00e9\n").subarray(6)];
    async function* more() {
      const piece = pieces.shift();
      if (!piece) throw new Error("the end");
      yield piece;
    }
    let printed = "";
    const printing = printLog({ last, more }, { lines: 1, follow: true }, (text) => {
      printed += text;
    });
    await expect(printing).rejects.toThrow("the end");
    expect(printed).toBe("two\nthree\u00e9\n");
  });
});
