import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { publishImage, stateOf } from "../../../src/images/publish.ts";
import { isNewerThanMarker } from "../../../src/images/usage.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { FakeVirsh } from "../lifecycle/fake-virsh.ts";
import { baseImage, named } from "./samples.ts";

let virsh: FakeVirsh;
vi.mock("../../../src/libvirt/virsh.ts", async (original) => ({
  ...(await original<object>()),
  virshFor: () => virsh,
}));

const name = named("a");

/** A host with the image and its marker, of these times. */
function aHost(times: Record<string, number | undefined>): Virsh {
  const run = async (verb = "", volume = "") => {
    if (verb === "vol-list")
      return Object.keys(times)
        .map((one) => ` ${one}   /vms/base/${one}`)
        .join("\n");
    const time = times[volume];
    const timestamps = time === undefined ? "" : `<timestamps><mtime>${time}</mtime></timestamps>`;
    return `<volume><name>${volume}</name><target><path>/vms/base/${volume}</path>${timestamps}</target></volume>`;
  };
  return { uri: "fake:///", run, runPrivately: run };
}

test.each([
  [100.2, 100.1, "altered"],
  [100.1, 100.1, "whole"],
  [100, 200, "whole"],
  [undefined, 200, "whole"],
  [100, undefined, "whole"],
  [undefined, undefined, "whole"],
])("an image of %s with a marker of %s is %s to who publishes and to who looks", async (image, marker, state) => {
  const host = aHost({ [name]: image, [`${name}.sha512`]: marker });
  const seen = baseImage(name, {
    ...(image ? { modified: image } : {}),
    marker: { path: "", ...(marker ? { modified: marker } : {}) },
  });
  expect([await stateOf(host, { name }, "base"), isNewerThanMarker(seen)]).toEqual([state, state === "altered"]);
});

describe("an image that is not marked as whole", () => {
  let dir: string;
  const base = `/vms/base/${name}`;
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), "publish-"));
    virsh = new FakeVirsh();
    virsh.pools.set("base", new Map([[name, { path: base }]]));
    virsh.pools.set("project-webapp", new Map([["disk.qcow2", { path: "/vms/webapp/disk.qcow2", backing: base }]]));
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const publish = () =>
    publishImage(
      { name, file: path.join(dir, name), sha512: "a".repeat(128), virtualSize: 1 },
      "x:///",
      "base",
      () => {},
    );
  const unseen = (what: string) =>
    `A base image on the host is left alone: not all that may stand on it can be seen.\n  - ${what}`;
  const used = (user: string) =>
    `A base image on the host is not marked as whole, and is left alone.\n  - ${base}: must have ${name}.sha512 beside it, since ${user} stands on it`;

  const overlay = () => {
    const file = path.join(dir, "overlay.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, file, "1M"]);
    return file;
  };
  const aDomainOn = (disk: string) => {
    virsh.pools.delete("project-webapp");
    virsh.domains.set("stranger", { description: "", running: true, disks: [disk] });
  };

  test("goes beside a stranger's disk in no pool that stands on nothing", async () => {
    const alone = path.join(dir, "alone.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", alone, "1M"]);
    aDomainOn(alone);
    await publish().catch(() => undefined);
    expect(virsh.changes).toContain(`vol-delete ${name} --pool base`);
  });

  test("goes, for another upload, where nothing stands on it", async () => {
    virsh.pools.get("project-webapp")?.set("disk.qcow2", { path: "/vms/webapp/disk.qcow2", backing: "/vms/base/b" });
    await publish().catch(() => undefined);
    expect(virsh.changes).toContain(`vol-delete ${name} --pool base`);
  });

  test("goes beside a console's pool that an update was killed over: nothing stands on what a guest has printed", async () => {
    virsh.pools.clear();
    virsh.pools.set("base", new Map([[name, { path: base }]]));
    virsh.pools.set("webapp.console", new Map());
    virsh.stopped.add("webapp.console");
    await publish().catch(() => undefined);
    expect(virsh.changes).toContain(`vol-delete ${name} --pool base`);
  });

  test.each<[string, () => unknown, string]>([
    ["a volume", () => undefined, used("/vms/webapp/disk.qcow2")],
    [
      "what may be in a pool that is stopped",
      () => virsh.stopped.add("project-webapp"),
      unseen(
        "pool project-webapp: must be active, or what is in it cannot be seen, and may stand on a base image\n    start it: `virsh -c qemu:///system pool-start project-webapp`",
      ),
    ],
    [
      "a volume that came without libvirt",
      () => {
        const backing = virsh.pools.get("project-webapp")?.get("disk.qcow2");
        virsh.pools.set("project-webapp", new Map());
        const real = FakeVirsh.prototype.run.bind(virsh);
        vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
          if (args.join(" ") === "pool-refresh project-webapp" && backing)
            virsh.pools.get("project-webapp")?.set("disk.qcow2", backing);
          return real(...args);
        });
      },
      used("/vms/webapp/disk.qcow2"),
    ],
    [
      "a domain that has it as its disk",
      () => {
        virsh.pools.delete("project-webapp");
        virsh.domains.set("rescue", { description: "", running: false, disks: [base] });
      },
      used("the domain rescue"),
    ],
    ["a domain's disk that is in no pool", () => aDomainOn(overlay()), used(`${path.join("DIR", "overlay.qcow2")}`)],
    [
      "a domain's disk in no pool that cannot be read",
      () => {
        const broken = path.join(dir, "broken.qcow2");
        writeFileSync(broken, "");
        aDomainOn(broken);
      },
      unseen("DIR/broken.qcow2: must be readable, or it cannot be known which base image it stands on ("),
    ],
    [
      "a pool that libvirt cannot read, and stops for that",
      () => virsh.unreadable.add("project-webapp"),
      "cannot open directory: Permission denied",
    ],
  ])("stays for %s", async (_, change, refusal) => {
    change();
    await expect(publish()).rejects.toThrow(refusal.replace("DIR", dir));
    expect(virsh.changes).toEqual([]);
  });
});
