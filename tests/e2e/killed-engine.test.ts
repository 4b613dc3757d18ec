import { randomInt } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareCheckout } from "../../src/checkout/checkout.ts";
import { readLocks } from "../../src/checkout/stack-lock.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { sizeOf } from "./support/marker.ts";
import { OffStack } from "./support/off-stack.ts";
import {
  describeKill,
  type Extent,
  measure,
  randomKill,
  runAndKill,
  type Verb,
  verbs,
} from "./support/random-kills.ts";
import { Random } from "./support/sweep-random.ts";

const seed = Number(process.env.KILLS_SEED || randomInt(2 ** 31));
const count = Number(process.env.KILLS || 6);
const secondsPerKill = 240;

const stack = new OffStack("killed-engine");
const { checkout } = stack;
const state = path.join(checkout.dir, ".local/state/.pulumi");
const progress = (line: string) => process.stderr.write(`${line}\n`);

/** What plain `pulumi cancel` says; also where there was nothing to cancel. */
const cancelled = "The currently running update for 'local' has been canceled!";

beforeAll(() => stack.begin());
afterAll(() => stack.remove());

async function cancel(): Promise<void> {
  expect(expectSuccess(await checkout.pulumi("cancel", "--yes")).trim()).toBe(cancelled);
  expect(await readLocks(checkout.dir, "local")).toEqual([]);
}

describe("plain `pulumi`", () => {
  test("cancels also what is not there", async () => {
    const before = stack.stateFiles();
    await cancel();
    expect(stack.stateFiles()).toEqual(before);
  });

  test("goes on with a state of an older version that an engine was killed in, once the checkout is prepared", async () => {
    const file = path.join(state, "stacks/project-vms/local.json");
    // As it was left: the attributes of the checkpoint had been begun.
    writeFileSync(`${file}.attrs`, "");
    expect((await checkout.pulumi("cancel", "--yes")).all).toContain("failed to load checkpoint: EOF");
    prepareCheckout(checkout.dir);
    await cancel();
    expectSuccess(await checkout.pulumi("preview", "--expect-no-changes"));
  });

  test("cancels a lock that an engine had half written", async () => {
    const folder = path.join(state, "locks/organization/project-vms/local");
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "1d0f9a4e.json.18a0c2f1e5b3.tmp"), '{"pid":');
    expect((await stack.up()).all).toContain("unexpected end of JSON input");
    await cancel();
    expectSuccess(await stack.up());
  });
});

/** Edits of all kinds: memory and a new root, a bigger disk, another VM that comes and goes. Disks never shrink. */
class Edits {
  private disk = 64;

  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  next(n: number) {
    if (this.random.onceIn(4)) this.disk += 16;
    const memory = 128 + 16 * this.random.below(8);
    const rebuild = `round ${this.random.onceIn(3) ? n : 0}`;
    const beta = this.random.onceIn(2) ? { beta: { keepData: this.random.onceIn(2) } } : {};
    return { memory, disk: this.disk, projects: { alpha: this.entry(memory, rebuild), ...beta } };
  }

  private entry(memory: number, rebuild: string) {
    return { memory: `${memory} MiB`, disk: `${this.disk} MiB`, rebuild };
  }
}
type Edit = ReturnType<Edits["next"]>;

describe(`an engine that is killed at random moments (KILLS_SEED=${seed})`, () => {
  const random = new Random(seed);
  const edits = new Edits(random);
  const extents = {} as Record<Verb, Extent>;

  beforeAll(async () => {
    progress(`kills: KILLS_SEED=${seed}`);
    for (const verb of ["preview", "up", "destroy", "cancel"] as const) {
      stack.configure(edits.next(1).projects);
      extents[verb] = await measure(checkout.dir, verb);
      progress(`${verb}, left alone: ${(extents[verb].time / 1000).toFixed(1)} s, ${extents[verb].writes} changes`);
    }
    expectSuccess(await stack.up());
  }, 10 * 60_000);

  test(
    `after each of ${count}, plain cancel and up go on, and the data is there`,
    async () => {
      let left: Verb[] = [];
      let tries = 0;
      for (let n = 0; n < count; tries++) {
        if (left.length === 0) left = random.shuffled(verbs);
        const verb = left[0] as Verb;
        if (!(await killAndRecover(verb, n + 1))) continue;
        left.shift();
        n++;
      }
      progress(`kills: KILLS_SEED=${seed}: ${count} kills in ${tries} tries, all recovered`);
    },
    2 * count * secondsPerKill * 1000,
  );

  /** @returns whether it was killed; it may have ended before */
  async function killAndRecover(verb: Verb, n: number): Promise<boolean> {
    const edit = edits.next(n);
    stack.configure(edit.projects);
    // Something to cancel.
    const first = verb === "cancel" ? [randomKill(random, "up")] : [];
    const kills = [...first, randomKill(random, verb)];
    const what = `kill ${n} of ${count}: ${kills.map((kill) => describeKill(kill, extents[kill.verb])).join("; then ")}`;
    const started = Date.now();
    try {
      let wasKilled = false;
      for (const kill of kills) wasKilled = await runAndKill(checkout.dir, kill, extents[kill.verb]);
      await expectRecovery(edit);
      progress(`${what}: ${wasKilled ? "killed" : "ended before"}, ${((Date.now() - started) / 1000).toFixed(1)} s`);
      return wasKilled;
    } catch (error) {
      throw new Error(`KILLS_SEED=${seed}, ${what}\n${(error as Error).message}`, { cause: error });
    }
  }

  async function expectRecovery({ memory, disk, projects }: Edit): Promise<void> {
    await cancel();
    expectSuccess(await checkout.pulumi("up", "--yes"));
    expectSuccess(await checkout.pulumi("preview", "--expect-no-changes"));
    stack.reap();
    await stack.expectData();
    expect(await sizeOf(stack.disk("alpha"))).toBe(disk);
    expect(await stack.domains()).toEqual(Object.keys(projects).map((project) => `project-${project}`));
    expect(await checkout.virsh.run("dominfo", "project-alpha")).toContain(`${memory * 1024} KiB`);
    expect(stack.stateFiles().filter((file) => file.endsWith(".attrs"))).toEqual([]);
    JSON.parse(readFileSync(path.join(state, "stacks/project-vms/local.json"), "utf8"));
  }
});
