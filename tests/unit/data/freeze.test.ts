import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { frozenCommands, readFrozen, whileFrozen } from "../../../data/freeze.ts";
import { diskNode, monitorAnswer } from "../../../data/monitor.ts";
import { projectDisk } from "../../../data/project-disk.ts";
import { shellFor } from "../../../host/shell.ts";
import type { Virsh } from "../../../host/virsh.ts";
import { messageOf } from "../config/samples.ts";

test("the thaw follows in the same virsh, whatever became of the command, and more than once", () => {
  expect(frozenCommands("project-myapp", "backup-begin project-myapp")).toBe(
    "domfsfreeze project-myapp --mountpoint /home/dev/project; backup-begin project-myapp; " +
      "domfsthaw project-myapp; domfsthaw project-myapp; domfsthaw project-myapp",
  );
});

test.each([
  ["Froze 1 filesystem(s)\n\nThawed 1 filesystem(s)\n\nThawed 0 filesystem(s)\n", true, true],
  ["error: Unable to freeze filesystems\nerror: Unable to thaw filesystems\n", false, true],
  ["Froze 0 filesystem(s)\n\nThawed 0 filesystem(s)\n", false, true],
  ["error: Unable to thaw filesystems\nFroze 1 filesystem(s)\n\nThawed 0 filesystem(s)\n", true, false],
])("%j: frozen %s, and thawed %s", (output, wasFrozen, isThawed) => {
  expect(readFrozen(output)).toEqual({ wasFrozen, isThawed });
});

describe("while frozen", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "freeze-"));
    vi.stubEnv("PATH", `${dir}:${process.env.PATH}`);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(dir, { recursive: true });
  });
  const disk = () => ({ ...projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "myapp"), folder: dir });
  const fakeVirsh = (script: string) => writeFileSync(path.join(dir, "virsh"), `#!/bin/sh\n${script}`, { mode: 0o755 });

  test("the answer has all that virsh printed, on both outputs", async () => {
    fakeVirsh('echo "$@"; echo "Froze 1 filesystem(s)"; echo "error: no" >&2; echo "Thawed 1 filesystem(s)"; exit 1');
    const { wasFrozen, output } = await whileFrozen(shellFor("qemu:///system"), disk(), "command");
    expect(wasFrozen).toBe(true);
    expect(output).toBe(
      [
        `-c qemu:///system ${frozenCommands("project-myapp", "command")}`,
        "Froze 1 filesystem(s)",
        "error: no",
        "Thawed 1 filesystem(s)",
        "",
      ].join("\n"),
    );
  });

  test("a guest that could not be thawed is said loudly, with what to do", async () => {
    fakeVirsh('echo "Froze 1 filesystem(s)"; echo "error: Guest agent is not responding" >&2; exit 1');
    const message = await whileFrozen(shellFor("qemu:///system"), disk(), "command").catch(({ message }) => message);
    expect(message).toBe(
      [
        "The guest of project-myapp may still be frozen: its agent did not answer.",
        "  - project-myapp: must be able to write to /home/dev/project",
        "    on the host of qemu:///system: virsh -c 'qemu:///system' domfsthaw project-myapp",
      ].join("\n"),
    );
  });
});

describe("QEMU's monitor", () => {
  const disk = projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "myapp");
  const answering = (value: unknown) => ({ run: async () => JSON.stringify({ return: value }) }) as unknown as Virsh;

  test("the disk's node is found by its file", async () => {
    const devices = [
      { device: "" },
      { inserted: { "node-name": "libvirt-1-format", file: "/vms/myapp/disk.qcow2" } },
      { inserted: { "node-name": "libvirt-2-format", file: "/vms/myapp/project.qcow2" } },
    ];
    expect(await diskNode(answering(devices), disk)).toBe("libvirt-2-format");
    await expect(diskNode(answering(devices.slice(0, 2)), disk)).rejects.toThrow(
      [
        "The VM runs without its project disk.",
        "  - project-myapp: must use /vms/myapp/project.qcow2",
        "    shut it down, and try again",
      ].join("\n"),
    );
  });

  test.each([
    [
      "Need a root block node",
      [
        "The project disk is in use.",
        "  - /vms/myapp/project.qcow2: must not be worked on by something else meanwhile, such as a backup (Need a root block node)",
        "    wait until that has ended, and try again",
      ].join("\n"),
    ],
    ["No space left on device", "QEMU refused, for project-myapp: No space left on device"],
  ])("a refusal (%s)", (desc, message) => {
    const json = JSON.stringify({ id: "libvirt-1", error: { class: "GenericError", desc } });
    expect(messageOf(() => monitorAnswer(disk, json))).toBe(message);
  });
});
