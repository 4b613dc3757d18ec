import { readFileSync } from "node:fs";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { PrintablePieces } from "../../../config/printable.ts";
import { logInGuest, printLog } from "../../../daily/logs.ts";
import { GuestAgent } from "../../../guest/agent.ts";
import { growDisks } from "../../../vm/grow.ts";
import { hostileValues } from "./hostile-values.ts";
import { type Answers, acting, HostileHost, text, well } from "./hostile-world.ts";

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

/** Of the answers that both get in the same way. */
const ofAnyProgram: Record<string, (value: unknown) => Partial<Answers>> = {
  "an answer to ping": (ping) => ({ ping }),
  "a program's pid": (pid) => ({ pid }),
  "its exit code": (exitcode) => ({ status: { exitcode } }),
  "its output": (data) => ({ status: { "out-data": data } }),
  "its errors": (data) => ({ status: { "err-data": data } }),
  "an agent's error": (error) => ({ errors: { "guest-exec": error } }),
};

async function expectHarmless(run: (answers: Partial<Answers>) => Promise<Seen>, answers: (value: unknown) => object) {
  for (const [name, value] of Object.entries(hostileValues)) {
    await setImmediate();
    const { printed, error } = await run(answers(value));
    const message = error?.message ?? "";
    expect(`${printed}${message}`.match(acting)?.[0], name).toBeUndefined();
    expect(message, name).not.toMatch(/^READY/m);
    expect(message.length, name).toBeLessThan(20_000);
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
  expect(error?.message).toBe("project-app: the filesystem on its project disk did not grow: two; \\x1b[2Jthree; four");
});

test("cloud-init's log is shown as it is where nothing in it acts", async () => {
  expect((await log({ log: base64("one\r\ntwo\u001b[1mthree\n") }, 1)).printed).toBe("twothree\n");
});

/** The files that hear a guest's agent, each with where its answers are fed. Another one needs its values fed, too. */
const askers = {
  "guest/agent.ts": "hostile-answers",
  "guest/answers.ts": "hostile-answers",
  "guest/guest.ts": "hostile-answers, hostile-tailnet",
  "guest/tailnet.ts": "hostile-answers, hostile-tailnet",
  "components/tailnet-args.ts": "hostile-tailnet",
  "vm/teardown.ts": "hostile-tailnet",
  "vm/grow.ts": "hostile-verbs",
  "daily/logs.ts": "hostile-verbs",
  "daily/exec.ts": "hands its bytes over as they are: docs/security.md",
  "data/frozen.sh": "data/freeze",
};

test("no other file hears a guest's agent than those whose answers are fed hostile values", async () => {
  const { stdout } = await execa("git", ["ls-files", "*.ts", "*.sh"], { cwd: root });
  const sources = stdout.split("\n").filter((file) => !/^(tests|bench|sdks)\//.test(file));
  const hears = /qemu-agent-command|^import \{[^}]*\bGuestAgent\b|^import type \{ GuestAgent \}/m;
  const found = sources.filter((file) => hears.test(readFileSync(path.join(root, file), "utf8")));
  expect(found.sort()).toEqual(Object.keys(askers).sort());
});
