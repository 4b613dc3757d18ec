import { randomInt } from "node:crypto";
import path from "node:path";
import { execaSync } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import YAML from "yaml";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { Checkout } from "./support/checkout.ts";
import {
  destroyed,
  emptyWorld,
  foresee,
  type Refusal,
  untouched,
  type World,
  withMarks,
} from "./support/data-model.ts";
import { type Edit, Edits } from "./support/edits.ts";
import { type Done, makeChange } from "./support/others-host.ts";
import { type Foreseen, foreseeAfter, Others, type OthersEdit, withWork } from "./support/others-model.ts";
import { firstConfig, type ImageConfig, type ImageName, type SweepConfig, written } from "./support/sweep-config.ts";
import { makeImages, writeMarks } from "./support/sweep-disks.ts";
import { definedAnew, fileOn, hostFaults, markDisks, type Snapshot, snapshotOf } from "./support/sweep-host.ts";

const seed = Number(process.env.SWEEP_SEED || randomInt(2 ** 31));
const count = Number(process.env.SWEEP_EDITS || 20);
/** Whether something is done past the product before each edit, by virsh or on the host. */
const byOthers = process.env.SWEEP_OTHERS === "1";
const secondsPerEdit = byOthers ? 360 : 120;
/** Every so many edits, a preview must find nothing left to do. */
const editsPerPreview = 5;
const linesOfOutput = 60;

const checkout = new Checkout("edits");
const { host } = checkout;
let images: Record<ImageName, ImageConfig>;
let world = emptyWorld(firstConfig);
let isDone = false;

beforeAll(async () => {
  await checkout.create({ running: false });
  // The sweep's images are nothing for the user's own cache.
  vi.stubEnv("XDG_CACHE_HOME", path.join(checkout.dir, ".local/cache"));
  images = makeImages(path.join(checkout.dir, ".local/images"));
  await startEmbeddedHost(host, console.error);
  configure(world.config);
  await checkout.pulumi("stack", "init");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await checkout.remove();
});

const configure = (config: SweepConfig) => checkout.configure(written(config, host, images));
const progress = (line: string) => process.stderr.write(`${line}\n`);

describe(`generated config edits (SWEEP_SEED=${seed})`, () => {
  test(
    `after each of ${count}, the data is there and right, or it was refused before anything changed`,
    async () => {
      progress(`sweep: SWEEP_SEED=${seed}`);
      await applied({ what: ["the first projects"], config: firstConfig, refresh: false }, "to begin with");
      const edits = new Edits(seed);
      const others = new Others(seed);
      for (let n = 1; n <= count; n++) {
        const which = `edit ${n} of ${count}`;
        const past = byOthers ? others.next(world, edits) : undefined;
        await (past ? appliedAfter(past, which) : applied(edits.next(world), which));
        if (n % editsPerPreview === 0 || n === count) await nothingIsLeftToDo(n);
      }
      isDone = true;
    },
    (count + 3) * secondsPerEdit * 1000,
  );

  test("a destroy keeps the project disks, but for those that are not to be kept", async ({ skip }) => {
    skip(!isDone, "what it would destroy is not as it should be");
    const { exitCode, all } = await checkout.pulumi("destroy", "--yes", "--skip-preview");
    expect(exitCode, all).toBe(0);
    world = destroyed(world);
    expect(await hostFaults(host, world, images), all).toEqual([]);
  });
});

/** Makes an edit, checks what came of it and goes on from there; what fails says how to repeat it. */
async function applied(edit: Edit, which: string): Promise<void> {
  const started = Date.now();
  const before = world;
  let output = "";
  try {
    const snapshot = snapshotOf(host);
    configure(edit.config);
    const flags = ["--suppress-outputs", ...(edit.refresh ? ["--refresh"] : [])];
    const up = await checkout.pulumi("up", "--yes", "--skip-preview", ...flags);
    output = up.all;
    const { refusals, world: expected } = foresee(before, edit.config);
    expectRefusals(output, refusals);
    expect(up.exitCode === 0, "whether it was done").toBe(refusals.length === 0);
    const after = snapshotOf(host);
    if (refusals.length > 0) expect(after).toEqual(snapshot);
    expect(definedAnew(snapshot, after, untouched(before, expected)), "VMs that were redefined").toEqual([]);
    expect(await hostFaults(host, expected, images)).toEqual([]);
    await mark(expected);
    const outcome = refusals.length > 0 ? `refused (${refusals.map((refusal) => refusal.path).join(", ")})` : "done";
    progress(`${which}: ${edit.what.join("; ")}: ${outcome}, ${((Date.now() - started) / 1000).toFixed(1)} s`);
  } catch (error) {
    throw new Error(report(before, edit, which, output, error as Error), { cause: error });
  }
}

/**
 * Does what others do to a VM, then makes an edit, looks at what came of it and undoes what others did. What was refused, or
 * stopped, must come through then. All that was written after the change must be there.
 */
async function appliedAfter({ what, config, ...past }: OthersEdit, which: string): Promise<void> {
  const edit = { what, config, refresh: false };
  const started = Date.now();
  const before = withWork(world, past.project);
  let output = "";
  let foreseen: Foreseen;
  try {
    foreseen = foreseeAfter(before.world, { ...past, config });
    const dir = path.dirname(fileOn(host, past.project, "project.qcow2"));
    const others = path.join(checkout.dir, ".local/others");
    const done = await makeChange(past.change, { virsh: checkout.virsh, project: past.project, dir, others });
    await writeMarks(done.disk, [before.mark]);
    const snapshot = snapshotOf(host);
    configure(config);
    const up = await checkout.pulumi("up", "--yes", "--suppress-outputs");
    output = up.all;
    expect(up.exitCode === 0, "whether it was done").toBe(foreseen.end === "done");
    expectRefusals(output, foreseen.refusals);
    for (const text of foreseen.says) expect(output).toMatch(text);
    await expectAsForeseen(before.world, past, foreseen, snapshot, done);
    await done.undo(foreseen.end !== "done" || foreseen.world.vms[past.project] !== undefined);
    world = before.world;
    if (foreseen.end === "done") {
      expect(await hostFaults(host, foreseen.world, images)).toEqual([]);
      await mark(foreseen.world);
    }
    progress(`${which}: ${what.join("; ")}: ${foreseen.end}, ${((Date.now() - started) / 1000).toFixed(1)} s`);
  } catch (error) {
    throw new Error(report(before.world, edit, which, output, error as Error), { cause: error });
  }
  if (foreseen.end !== "done") await applied(edit, `${which}, what others did undone`);
}

/** What is there before the change is undone. */
async function expectAsForeseen(
  before: World,
  { change, project }: Pick<OthersEdit, "change" | "project">,
  { end, stands, world: expected }: Foreseen,
  snapshot: Snapshot,
  done: Done,
): Promise<void> {
  const after = snapshotOf(host);
  const isThere = end !== "done" || expected.vms[project] !== undefined;
  if (isThere) expect(await done.stands(), "whether what others did still stands").toBe(stands);
  if (end === "refused") expect(after).toEqual(snapshot);
  const disk = path.relative(host.dir, done.disk);
  if (end === "stopped") expect(after[disk], "the project disk").toBe(snapshot[disk]);
  if (end !== "done") return;
  // In any case recreated, and redefined.
  const isAnew = change === "undefine" || change === "detach-interface";
  const same = untouched(before, expected).filter((name) => !isAnew || name !== project);
  expect(definedAnew(snapshot, after, same), "VMs that were redefined").toEqual([]);
}

/** Writes on each disk that is new, or has grown, what must be there from now on. */
async function mark(next: World): Promise<void> {
  const marked = withMarks(next);
  await markDisks(host, marked.writes);
  world = marked.world;
}

async function nothingIsLeftToDo(n: number): Promise<void> {
  configure(world.config);
  const { exitCode, all } = await checkout.pulumi("preview", "--expect-no-changes");
  expect(exitCode, `SWEEP_SEED=${seed}: a preview after edit ${n} shows changes\n${all}`).toBe(0);
}

/** All mistakes that must be told are told, each with the figures, and no others. */
function expectRefusals(output: string, refusals: Refusal[]): void {
  const lines = output.split("\n").flatMap((line) => /^\s*- Pulumi\.local\.yaml: (.*)$/.exec(line)?.[1] ?? []);
  const places = lines.map((line) => line.slice(0, line.indexOf(":")));
  expect(places.sort()).toEqual(refusals.map((refusal) => refusal.path).sort());
  for (const { path: place, says } of refusals) {
    const line = lines.find((one) => one.startsWith(`${place}:`));
    for (const text of says) expect(line).toContain(text);
  }
}

/** All that is needed to repeat a failure and to understand it. */
function report(before: World, edit: Edit, which: string, output: string, { message }: Error): string {
  const [old, now] = [before.config, edit.config].map((config) => YAML.stringify(written(config, host, images)));
  const diff = execaSync("bash", ["-c", 'diff -U 100 <(echo "$OLD") <(echo "$NOW")'], {
    env: { OLD: old ?? "", NOW: now ?? "" },
    reject: false,
  });
  return [
    message,
    `SWEEP_SEED=${seed}, ${which}: ${edit.what.join("; ")}${edit.refresh ? " (with --refresh)" : ""}`,
    diff.stdout,
    "The end of what pulumi said:",
    output.split("\n").slice(-linesOfOutput).join("\n"),
  ].join("\n\n");
}
