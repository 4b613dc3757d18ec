import { describe, expect, test } from "vitest";
import {
  changeKinds,
  decode,
  encode,
  readable,
  recordLine,
  recordsVariable,
  sentence,
  stages,
  type VmRecord,
} from "../../../src/core/records.ts";

const change: VmRecord = { project: "webapp", kind: "new", text: "new VM, new project disk of 50 GiB" };
const progress: VmRecord = { guest: "project-webapp", stage: "cloud-init", state: "ok", seconds: 31.2 };
const all: VmRecord[] = [
  ...changeKinds.map(
    (kind): VmRecord => ({ project: "web-app1", kind, text: `${kind}, (50 GiB): "x" \\ <{%reset%}… é 😀` }),
  ),
  ...stages.flatMap((stage): VmRecord[] => [
    { guest: "project-a", stage, state: "waiting", seconds: 20.1 },
    { guest: `project-${"a".repeat(55)}`, stage, state: "ok", seconds: 0 },
  ]),
];

describe("a record", () => {
  test.each(all.map((record) => [record]))("is read as it was written: %j", (record) => {
    const line = encode(record);
    expect(line).toMatch(/^\{"project-vms":[\x20-\x7e]+\}$/);
    expect(line).not.toContain("<");
    const { text = "" } = record as { text?: string };
    // What the engine takes for a colour is shown.
    expect(decode(line)).toEqual("kind" in record ? { ...record, text: text.replace("<{%", "<\\x7b%") } : record);
  });

  test("is written alike in whatever order it was put together", () => {
    const { project, kind, text } = change as typeof change & { project: string; kind: "new"; text: string };
    expect(encode({ text, kind, project })).toBe(encode(change));
  });

  test("does nothing to a terminal, whatever is in it", () => {
    const line = encode({ project: "a", kind: "changed", text: "restart\x1b[2J\nproject-a: READY\u202e" });
    expect(decode(line)).toEqual({
      project: "a",
      kind: "changed",
      text: "restart\\x1b[2J\\nproject-a: READY\\u{202e}",
    });
  });

  test("is a sentence for people", () => {
    expect(sentence(change)).toBe("webapp: new VM, new project disk of 50 GiB");
    expect(sentence(progress)).toBe("project-webapp: cloud-init ok, 31.2 s");
    expect(sentence({ ...progress, state: "waiting", seconds: 20 })).toBe(
      "project-webapp: waiting for cloud-init, 20 s",
    );
  });

  test("is printed as one only where it is asked for", () => {
    expect(recordLine(change, {})).toBe(sentence(change));
    expect(recordLine(change, { [recordsVariable]: "" })).toBe(sentence(change));
    expect(recordLine(change, { [recordsVariable]: "1" })).toBe(encode(change));
  });

  test("with a name that could not be read again is a sentence in any case", () => {
    const odd: VmRecord = { project: "Of Others", kind: "noted", text: "stays" };
    expect(recordLine(odd, { [recordsVariable]: "1" })).toBe("Of Others: stays");
  });
});

const line = (fields: object) => JSON.stringify(fields);
const good = { "project-vms": "change", project: "a", kind: "new", text: "new VM" };
const waits = { "project-vms": "progress", guest: "project-a", stage: "boot", state: "ok", seconds: 1 };

test("lines of this form are records", () => {
  expect([decode(line(good)), decode(line(waits))]).not.toContain(undefined);
});

test.each<[string, string]>([
  ["a sentence", "a: new VM"],
  ["nothing", ""],
  ["JSON of others", '{"project":"a","kind":"new","text":"new VM"}'],
  ["cut off", line(good).slice(0, -1)],
  ["with words before it", `x ${line(good)}`],
  ["with a blank before it", ` ${line(good)}`],
  ["with words behind it", `${line(good)} x`],
  ["with a line behind it", `${line(good)}\n`],
  ["of an odd kind", line({ ...good, kind: "New" })],
  ["of another type", line({ ...good, "project-vms": "progress" })],
  ["with a project that is none", line({ ...good, project: "../a" })],
  ["with a project that is too long", line({ ...good, project: "a".repeat(56) })],
  ["with a list for a project", line({ ...good, project: ["a"] })],
  ["with a number for a text", line({ ...good, text: 1 })],
  ["with an odd field", line({ ...good, more: true })],
  ["with a field of the other type", line({ ...good, seconds: 1 })],
  ["with a field that is there twice", line(good).replace('"kind"', '"project":"b","kind"')],
  ["without a field", line({ "project-vms": "change", project: "a", kind: "new" })],
  [
    "with its fields in another order",
    line(good).replace('"kind":"new","text":"new VM"', '"text":"new VM","kind":"new"'),
  ],
  ["with blanks in it", line(good).replace(",", ", ")],
  ["with letters that are not escaped", line({ ...good, text: "é" })],
  ["with letters that need no escape", line(good).replace("new VM", "\\u006eew VM")],
  ["of a guest that is none", line({ ...waits, guest: "a" })],
  ["of an odd stage", line({ ...waits, stage: "toString" })],
  ["of an odd state", line({ ...waits, state: "done" })],
  ["of seconds in words", line({ ...waits, seconds: "1" })],
  ["of seconds below nothing", line({ ...waits, seconds: -1 })],
  ["with what is no object", '{"project-vms":null}'],
])("a line %s is no record", (_, text) => expect(decode(text)).toBeUndefined());

test("in a text of the engine's, people see sentences for lines that are records, or end with one", () => {
  const row = " +  command:local:Command webapp-ready creating (31s) ";
  const text = [encode(progress), `${row}${encode(progress)}`, `    ${encode(change)}`, line({ ...good, more: 1 })];
  expect(readable(text.join("\n")).split("\n")).toEqual([
    "project-webapp: cloud-init ok, 31.2 s",
    `${row}project-webapp: cloud-init ok, 31.2 s`,
    "    webapp: new VM, new project disk of 50 GiB",
    line({ ...good, more: 1 }),
  ]);
});
