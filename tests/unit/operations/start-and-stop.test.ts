import { expect, test } from "vitest";
import { resume, shutDown, wakeIfSuspended } from "../../../src/guest/power.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";

/** A host whose guest goes off at the n-th request to shut down, or never. */
function aHost(obeysAt: number, state = "running") {
  const commands: string[] = [];
  let isOn = true;
  const virsh: Virsh = {
    uri: "qemu:///system",
    run: async (command = "") => {
      if (command === "list") return isOn ? "project-app\n" : "";
      if (command === "domstate") return `${state}\n`;
      commands.push(command);
      if (command === "destroy" || commands.filter((one) => one === "shutdown").length >= obeysAt) isOn = false;
      return "";
    },
    runPrivately: async () => "",
  };
  return { virsh, commands };
}

test("a guest that obeys is not forced", async () => {
  const { virsh, commands } = aHost(1);
  const lines: string[] = [];
  await shutDown(virsh, "project-app", (line) => lines.push(line), 5);
  expect(commands).toEqual(["shutdown"]);
  expect(lines).toEqual(["project-app: shut down, 1 s"]);
});

test("a guest that has suspended itself is woken first: it would hear nothing, and lose what it has not written", async () => {
  const { virsh, commands } = aHost(1, "pmsuspended");
  await shutDown(virsh, "project-app", () => undefined, 5);
  expect(commands).toEqual(["dompmwakeup", "shutdown"]);
});

/** A host whose guest is paused, and resumes or, as where the host is full, is paused again at once. */
function hostOfPaused(reason: string, resumes: boolean) {
  let state = `paused (${reason})`;
  const { virsh, commands } = aHost(1);
  const paused: Virsh = {
    ...virsh,
    run: async (...args) => {
      if (args[0] === "domstate") return `${state}\n`;
      if (args[0] === "shutdown" && state !== "running (unpaused)") {
        commands.push("shutdown, unheard");
        return "";
      }
      if (args[0] === "resume" && resumes) state = "running (unpaused)";
      return virsh.run(...args);
    },
  };
  return { virsh: paused, commands };
}

test("a guest that others have paused resumes first: it would hear nothing, and lose what it has not written", async () => {
  const { virsh, commands } = hostOfPaused("user", true);
  await shutDown(virsh, "project-app", () => undefined, 5);
  expect(commands).toEqual(["resume", "shutdown"]);
});

test.each([
  ["I/O error", "free space where its disks are"],
  ["user", "virsh -c 'qemu:///system' resume project-app"],
])(
  "a guest that is paused (%s) and does not resume keeps its power, and what it has not written",
  async (reason, mend) => {
    const { virsh, commands } = hostOfPaused(reason, false);
    const message = [
      `project-app is paused (${reason}) and does not resume. Nothing is lost.`,
      "  - project-app: must run, to write what its guest has not yet written to its disks",
      `    ${mend}, then try again; to give up what is not written: virsh -c 'qemu:///system' destroy project-app`,
    ].join("\n");
    await expect(shutDown(virsh, "project-app", () => undefined, 2)).rejects.toThrow(message);
    expect(commands).toEqual(["resume", "shutdown, unheard"]);
    await expect(resume(virsh, "project-app")).rejects.toThrow(message);
    await resume(hostOfPaused(reason, true).virsh, "project-app");
  },
);

test.each([
  ["by its own fault", "unknown", false],
  ["by a crash of its own", "crashed", false],
  ["by a full host, and whose disks go anyway", "I/O error", true],
])("a guest that is paused %s and does not resume is forced off like any other", async (_, reason, nothingStays) => {
  const { virsh, commands } = hostOfPaused(reason, false);
  await shutDown(virsh, "project-app", () => undefined, 2, nothingStays);
  expect(commands).toEqual(["resume", "shutdown, unheard", "destroy"]);
});

/** A host whose guest has always just woken, or just suspended itself again, when libvirt is to wake it. */
function hostOfRestless(states: string[]) {
  const { virsh, commands } = aHost(Number.POSITIVE_INFINITY);
  const restless: Virsh = {
    ...virsh,
    run: async (...args) => {
      if (args[0] === "domstate") return `${states.shift() ?? "pmsuspended"}\n`;
      const answer = await virsh.run(...args);
      if (args[0] !== "dompmwakeup") return answer;
      throw new VirshError(virsh.uri, args, undefined, "Unable to wake up: guest is not in suspended state", true);
    },
  };
  return { virsh: restless, commands };
}

test("a guest that cannot be woken, whatever it does, is forced off all the same", async () => {
  for (const states of [["pmsuspended", "running"], ["pmsuspended"]]) {
    const { virsh, commands } = hostOfRestless(states);
    await shutDown(virsh, "project-app", () => undefined, 2);
    expect(commands).toEqual(["dompmwakeup", "shutdown", "destroy"]);
  }
});

test("a guest that wakes by itself at the moment that it is to be woken is no error, one that stays asleep is", async () => {
  await wakeIfSuspended(hostOfRestless(["pmsuspended", "running"]).virsh, "project-app");
  await expect(wakeIfSuspended(hostOfRestless([]).virsh, "project-app")).rejects.toThrow("Unable to wake up");
});

test("a guest that does not is forced after as long as it was given, and that is said", async () => {
  const { virsh, commands } = aHost(Number.POSITIVE_INFINITY);
  const lines: string[] = [];
  await shutDown(virsh, "project-app", (line) => lines.push(line), 2);
  expect(commands).toEqual(["shutdown", "destroy"]);
  expect(lines).toEqual(["project-app: did not shut down within 2 s; its power is cut"]);
});

test("a guest whose agent keeps libvirt waiting is forced all the same, in time", async () => {
  const { virsh, commands } = aHost(Number.POSITIVE_INFINITY);
  let giveUp = () => {};
  const held: Virsh = {
    ...virsh,
    run: (...args) => {
      if (args[0] === "shutdown") return new Promise((_, reject) => (giveUp = () => reject(new Error("guest is off"))));
      // libvirt gives up on the agent of a guest that is off.
      if (args[0] === "destroy") giveUp();
      return virsh.run(...args);
    },
  };
  const started = Date.now();
  await shutDown(held, "project-app", () => undefined, 2);
  expect(commands).toEqual(["destroy"]);
  expect(Date.now() - started).toBeLessThan(10_000);
});
