import { readFileSync } from "node:fs";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { PrintablePieces } from "../../../src/core/printable.ts";
import { GuestAgent } from "../../../src/guest/agent.ts";
import { growDisks } from "../../../src/lifecycle/grow.ts";
import { logInGuest, printLog } from "../../../src/operations/logs.ts";
import { hostileValues } from "./hostile-values.ts";
import { type Answers, acting, expectHarmlessText, HostileHost, ofAnyProgram, text, well } from "./hostile-world.ts";

/** What a guest answers beside its way to readiness (hostile-answers.test.ts): when its disks grow, and when its log is read. */

/** What was printed, and the error as the user sees it. */
interface Seen {
  printed: string;
  error?: Error;
}

async function seenBy(use: (host: HostileHost, print: (text: string) => void) => Promise<void>, answers: Answers) {
  let printed = "";
  const host = new HostileHost(answers);
  const seen: Omit<Seen, "printed"> = await use(host, (more) => {
    printed += more;
  }).then(
    () => ({}),
    (error: Error) => ({ error }),
  );
  for (const word of host.asked.flat()) expect(word).not.toMatch(/\p{Cc}/u);
  return { printed, ...seen };
}

const root = path.resolve(import.meta.dirname, "../../..");

const grow = (answers: Partial<Answers>) =>
  seenBy((host, print) => growDisks(host, "app", { project: 2, root: 2 }, (line) => print(`${line}\n`), true), {
    ...well(),
    ...answers,
  });

const log = (answers: Partial<Answers>, lines?: number) =>
  seenBy(
    async (host, print) => {
      const shown = new PrintablePieces();
      await printLog(logInGuest(new GuestAgent(host, "project-app"), "app"), { lines }, (piece) =>
        print(shown.next(piece)),
      );
      print(shown.end());
    },
    { ...well(), ...answers },
  );

async function expectHarmless(run: (answers: Partial<Answers>) => Promise<Seen>, answers: (value: unknown) => object) {
  for (const [name, value] of Object.entries(hostileValues)) {
    await setImmediate();
    const { printed, error } = await run(answers(value));
    const message = error?.message ?? "";
    expect(printed.match(acting)?.[0], name).toBeUndefined();
    expectHarmlessText(message, name);
    if (error) expect(message, name).toContain("app");
  }
}

describe.each(
  Object.entries({
    ...ofAnyProgram,
    "what it says of a filesystem that cannot grow": (stdout: unknown) => ({ check: { exitcode: 1, stdout } }),
    "what it says of one that has grown": (stdout: unknown) => ({ check: { exitcode: 0, stdout } }),
  }),
)("when a disk grows, in the place of %s", (_, answers) => {
  test("no hostile value acts", { timeout: 120_000 }, () => expectHarmless(grow, answers));
});

const base64 = (value: unknown) => Buffer.from(text(value)).toString("base64");

describe.each(
  Object.entries({
    ...ofAnyProgram,
    "its lines": (value: unknown) => ({ log: base64(value) }),
    "their encoding": (value: unknown) => ({ log: value }),
  }),
)("when cloud-init's log is read, in the place of %s", (_, answers) => {
  test("no hostile value acts", { timeout: 120_000 }, async () => {
    await expectHarmless(log, answers);
    await expectHarmless((given) => log(given, 3), answers);
  });
});

test("of a filesystem that cannot grow, the end of what the guest says of it is shown", async () => {
  const { error } = await grow({ check: { exitcode: 1, stdout: "one\ntwo\n\u001b[2Jthree\nfour\n" } });
  expect(error?.message).toBe(
    "project-app: the filesystem on its project disk did not grow:\n  | two\n  | \\x1b[2Jthree\n  | four",
  );
});

test("cloud-init's log is shown as it is where nothing in it acts", async () => {
  expect((await log({ log: base64("one\r\ntwo\u001b[1mthree\n") }, 1)).printed).toBe("twothree\n");
});

/** The files that read answers of a guest's agent, each with the test that feeds it hostile ones. */
const readers = {
  "src/guest/agent.ts": "hostile-answers",
  "src/guest/answers.ts": "hostile-answers",
  "src/guest/guest.ts": "hostile-answers, hostile-tailnet",
  "src/guest/tailnet-join.ts": "hostile-answers, hostile-tailnet",
  "components/tailnet-args.ts": "hostile-tailnet",
  "src/lifecycle/teardown.ts": "hostile-tailnet",
  "src/lifecycle/grow.ts": "hostile-verbs",
  "src/operations/logs.ts": "hostile-verbs",
  "src/operations/exec.ts": "hands its bytes over as they are: docs/security.md",
  "src/project-disks/frozen.sh": "project-disks/freeze",
};

test("every file that reads answers of a guest's agent is fed hostile ones", async () => {
  const { stdout } = await execa("git", ["ls-files", "*.ts", "*.sh"], { cwd: root });
  const sources = stdout.split("\n").filter((file) => !/^(tests|bench|sdks)\//.test(file));
  const reads = /qemu-agent-command|^import \{[^}]*\bGuestAgent\b|^import type \{ GuestAgent \}/m;
  const found = sources.filter((file) => reads.test(readFileSync(path.join(root, file), "utf8")));
  expect(found.sort()).toEqual(Object.keys(readers).sort());
});
