import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { takeInventory } from "../../../src/libvirt/inventory.ts";
import { volumesIn } from "../../../src/libvirt/pool-volumes.ts";
import { shellFor } from "../../../src/libvirt/shell.ts";
import { virshFor } from "../../../src/libvirt/virsh.ts";

/** libvirt's own test driver, with a project below a folder that a German would name so. */
const storageDir = "/srv/Büro/vms";
const node = `<node>
  <pool type='dir'><name>project-app</name><uuid>dfe224cb-28fb-8dd0-c4b2-64eb3f0f4566</uuid>
    <target><path>${storageDir}/app</path></target>
    <volume type='file'><name>project.qcow2</name><capacity unit='bytes'>1000000</capacity>
      <target><path>${storageDir}/app/project.qcow2</path><format type='qcow2'/></target></volume>
  </pool>
</node>`;

let uri: string;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "names-"));
  writeFileSync(path.join(dir, "node.xml"), node);
  uri = `test://${dir}/node.xml`;
  // What a user may have set must not come between.
  vi.stubEnv("LC_ALL", "C");
  vi.stubEnv("LANGUAGE", "de");
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

test("virsh's tables have such a path as it is", async () => {
  expect(await volumesIn(virshFor(uri), "project-app")).toEqual(
    new Map([["project.qcow2", `${storageDir}/app/project.qcow2`]]),
  );
});

test("the inventory finds the disk there, with its size", async () => {
  const { pools } = await takeInventory({ uri, storageDir, virtualization: "emulated" });
  expect(pools[0]).toMatchObject({
    path: `${storageDir}/app`,
    volumes: [{ name: "project.qcow2", capacity: 1000000 }],
  });
});

test("a program on the host prints and reads it as it is", async () => {
  const shell = shellFor("qemu:///system");
  const script = `virsh -q -c ${uri} vol-list project-app; echo "$LC_ALL,$LANGUAGE,"`;
  expect(await shell.run(["sh", "-c", script])).toMatch(
    /^ project.qcow2 +\/srv\/Büro\/vms\/app\/project.qcow2\s+C.UTF-8,,\n$/,
  );
});
