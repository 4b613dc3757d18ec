import { describe, expect, test } from "vitest";
import type { Snapshot } from "../../../src/project-disks/disk-image.ts";
import { checkSnapshotName, findSnapshot, refuseTwin, safetyName } from "../../../src/project-disks/snapshot-names.ts";
import { messageOf } from "../config/samples.ts";

const made = (name: string): Snapshot => ({ name, created: new Date("2026-03-14T15:09:26Z"), diskSize: 1 });

describe("names of snapshots", () => {
  test.each(["a", "before-upgrade", "v2", `a${"b".repeat(62)}`])("%s", (name) => {
    expect(() => checkSnapshotName(name)).not.toThrow();
  });

  // Of those that are only digits, qemu-img would take the snapshot of that number.
  test.each(["", "1", "2x", "-a", "a-", "A", "a b", "a.b", "a/b", "ä", `a${"b".repeat(63)}`])(
    "%j is refused",
    (name) => {
      expect(messageOf(() => checkSnapshotName(name))).toBe(
        [
          "There can be no such snapshot.",
          `  - snapshot: must have a name of a-z, 0-9 and \`-\`, a letter first, no \`-\` last, at most 63 characters, but is ${JSON.stringify(name)}`,
          "    write e.g. `before-upgrade`",
        ].join("\n"),
      );
    },
  );

  test("a name that is taken is refused, with the date of who has it", () => {
    expect(() => refuseTwin("b", [made("a")])).not.toThrow();
    expect(messageOf(() => refuseTwin("a", [made("a")]))).toBe(
      [
        "The snapshot was not made.",
        '  - snapshot: must have another name than the one from 2026-03-14T15:09:26.000Z, but is "a"',
        "    choose another name, or delete that one first",
      ].join("\n"),
    );
  });
});

describe("finding a snapshot", () => {
  const there = ["before-upgrade", "works", "twice", "twice"].map(made);

  test("gives the one of that name", () => {
    expect(findSnapshot("works", there)).toBe(there[1]);
  });

  test.each([
    ["before-upgrad", there, "did you mean `before-upgrade`? (snapshots: `before-upgrade`, `works`, `twice`, `twice`)"],
    ["works", [], "there are no snapshots"],
  ])("%s is not there: what there is is named", (name, among, remedy) => {
    expect(messageOf(() => findSnapshot(name, among))).toBe(
      [
        "There is no such snapshot.",
        `  - snapshot: must be the name of a snapshot, but is ${JSON.stringify(name)}`,
        `    ${remedy}`,
      ].join("\n"),
    );
  });

  test("a name in the image makes no line of the answer", () => {
    expect(messageOf(() => findSnapshot("works", [made("x`\nREADY app 3s  ssh -F /tmp/x project-app")]))).toBe(
      [
        "There is no such snapshot.",
        '  - snapshot: must be the name of a snapshot, but is "works"',
        "    did you mean `x`\\nREADY app 3s  ssh -F /tmp/x project-app`? (snapshots: `x`\\nREADY app 3s  ssh -F /tmp/x project-app`)",
      ].join("\n"),
    );
  });

  test("a name that two have, as other tools allow, is no name", () => {
    expect(messageOf(() => findSnapshot("twice", there))).toBe(
      [
        "There is no such snapshot.",
        '  - snapshot: must be the name of one snapshot, not of several, but is "twice"',
        "    delete the others on the host: qemu-img snapshot -d",
      ].join("\n"),
    );
  });
});

test("the state before a restore has a name that says when, and that nobody has yet", () => {
  const now = new Date("2026-03-14T15:09:59.999Z");
  const name = safetyName(now, []);
  expect(name).toBe("before-restore-20260314-150959");
  expect(() => checkSnapshotName(name)).not.toThrow();
  expect(safetyName(now, [made(name)])).toBe("before-restore-20260314-151000");
});
