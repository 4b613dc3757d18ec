import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { requirePrograms } from "../../../src/core/programs.ts";
import { wipeEmbeddedHost } from "../../../src/embedded-host/embedded.ts";
import { openPassages } from "../../../src/embedded-host/embedded-files.ts";
import { recallRunning, rememberRunning, whatRuns } from "../../../src/embedded-host/embedded-guests.ts";
import { mountsBelow, parseMounts, waitFor } from "../../../src/embedded-host/embedded-process.ts";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";

describe("where a checkout's host is", () => {
  test("follows from its path alone", () => {
    const dir = "/var/lib/project-vms/vms-f6e2ecc4";
    expect(embeddedHostFor("/home/me/vms")).toEqual({
      checkout: "/home/me/vms",
      dir,
      uri: `qemu+unix:///system?socket=${dir}/run/libvirt/libvirt-sock`,
      storageDir: `${dir}/vms`,
      netns: `${dir}/run/netns`,
    });
    expect(embeddedHostFor("/home/me/x/../vms/")).toEqual(embeddedHostFor("/home/me/vms"));
    expect(embeddedHostFor("/home/you/vms").dir).not.toBe(dir);
  });

  test.each(["/", "/home/me/my vms & more", "/srv/ä?socket=x#", `/srv/${"long".repeat(50)}`])(
    "%s gives a path that fits into a socket's address and a URI",
    (root) => {
      const { dir, uri } = embeddedHostFor(root);
      expect(dir).toMatch(/^\/var\/lib\/project-vms\/[\w.-]{1,40}-[0-9a-f]{8}$/);
      expect(Buffer.byteLength(new URL(uri).searchParams.get("socket") ?? "")).toBeLessThan(108);
    },
  );
});

test("what does not come about in its time is the host's matter, and no bug", async () => {
  const waiting = waitFor("libvirtd to answer", 0.01, () => false);
  await expect(waiting).rejects.toEqual(new UserError("waited 0.01 s for libvirtd to answer"));
  await expect(waiting).rejects.toBeInstanceOf(UserError);
});

test("mount points, with the kernel's escapes", () => {
  const mountinfo = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
90 22 0:4 net:[4026532180] /var/lib/project-vms/a\\040b/run/netns rw - nsfs nsfs rw
`;
  expect(parseMounts(mountinfo)).toEqual([
    { point: "/", type: "ext4" },
    { point: "/var/lib/project-vms/a b/run/netns", type: "nsfs" },
  ]);
});

test("what is mounted below a folder is found through a link to it, which the kernel does not name", async () => {
  const dir = realpathSync(await mkdtemp(path.join(tmpdir(), "mounts-")));
  await mkdir(path.join(dir, "data/vms/run"), { recursive: true });
  await symlink(path.join(dir, "data"), path.join(dir, "link"));
  const mounts = [`${dir}/data/vms/run`, `${dir}/data/vms/run/netns`, `${dir}/data/vms/runs`];
  const mountinfo = mounts.map((mount) => `36 35 98:0 / ${mount} rw - tmpfs tmpfs rw`).join("\n");
  expect(mountsBelow(path.join(dir, "link/vms/run"), mountinfo)).toEqual([mounts[1], mounts[0]]);
  expect(mountsBelow(path.join(dir, "link/none"), mountinfo)).toEqual([]);
  await rm(dir, { recursive: true });
});

describe("what ran", () => {
  let dir: string;
  const put = async (...files: string[]) => {
    for (const file of files) {
      await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
      await writeFile(path.join(dir, file), "");
    }
  };
  const host = () => ({ ...embeddedHostFor("/none"), dir });

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "what-ran-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  test("is read from libvirt's status files, which a crash leaves behind", async () => {
    await put("run/libvirt/qemu/a.xml", "run/libvirt/qemu/a.pid", "run/libvirt/network/n.xml");
    await expect(whatRuns(host())).resolves.toEqual({ domains: ["a"], networks: ["n"], pools: [] });
  });

  test("is remembered without what is not defined for good", async () => {
    await put("run/libvirt/qemu/a.xml", "run/libvirt/qemu/transient.xml", "run/libvirt/storage/p.xml");
    await put("libvirt/etc/qemu/a.xml", "libvirt/etc/storage/p.xml");
    await rememberRunning(host());
    await rm(path.join(dir, "run"), { recursive: true });
    await expect(recallRunning(host())).resolves.toEqual({ domains: ["a"], networks: [], pools: ["p"] });
  });

  test("grows by what a stop that was interrupted had found", async () => {
    await put("libvirt/etc/qemu/a.xml", "libvirt/etc/qemu/b.xml", "run/libvirt/qemu/a.xml", "run/libvirt/qemu/b.xml");
    await rememberRunning(host());
    await rm(path.join(dir, "run/libvirt/qemu/a.xml"));
    await rememberRunning(host());
    expect((await recallRunning(host())).domains).toEqual(["a", "b"]);
  });

  test("on a host that never ran is nothing, and leaves no file", async () => {
    await rememberRunning(host());
    expect(existsSync(path.join(dir, "running.json"))).toBe(false);
    await expect(recallRunning(host())).resolves.toEqual({ domains: [], networks: [], pools: [] });
  });

  test("a folder that is not an embedded host's is never wiped", async () => {
    await put("precious");
    const error = await wipeEmbeddedHost(host()).catch((caught) => caught);
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toBe(
      `The embedded host is not removed.\n  - ${dir}: must be an embedded host's folder\n    Look at what is in it, and remove it by hand.`,
    );
    expect(existsSync(path.join(dir, "precious"))).toBe(true);
  });
});

test("missing programs are all named, with Debian's packages for them", async () => {
  const error = await requirePrograms({ sh: "dash", nosuch1: "package-one", nosuch2: "package-two" }).catch((e) => e);
  expect(error.message).toBe(
    `The embedded host needs programs that are not here.
  - nosuch1: must be installed
    apt-get install --no-install-recommends package-one package-two
  - nosuch2: must be installed
    apt-get install --no-install-recommends package-one package-two`,
  );
});

describe("under a umask of 077", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "umask-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  const modeOf = async (folder: string) => ((await stat(folder)).mode & 0o7777).toString(8);

  test("the folders that an earlier start made are opened to QEMU's user, and nothing that a link of its own leads to", async () => {
    const host = path.join(dir, "project-vms/demo");
    const passages = ["libvirt", "libvirt/lib", "libvirt/lib/dnsmasq", "run", "run/libvirt", "run/libvirt/qemu"];
    const closed = ["libvirt/lib/qemu", "libvirt/etc", "libvirt/lib/secrets"];
    for (const folder of [...passages, ...closed])
      await mkdir(path.join(host, folder), { recursive: true, mode: 0o700 });
    await mkdir(path.join(dir, "private"), { mode: 0o700 });
    await symlink(path.join(dir, "private"), path.join(host, "libvirt/lib/qemu/channel"));
    await chmod(path.join(host, "run"), 0o755);
    await openPassages(host);
    const modes = await Promise.all(passages.map((folder) => modeOf(path.join(host, folder))));
    expect(modes).toEqual(["711", "711", "711", "755", "711", "711"]);
    expect(await modeOf(path.dirname(host))).toBe("711");
    for (const folder of [...closed.map((name) => path.join(host, name)), path.join(dir, "private")]) {
      expect(await modeOf(folder)).toBe("700");
    }
  });

  test("the host's first process has a umask of its own", async () => {
    await mkdir(path.join(dir, "run"));
    // Nothing but these is on PATH, so nothing is mounted.
    for (const name of ["awk", "umount", "mount"]) {
      await writeFile(path.join(dir, name), `#!/bin/sh\numask >'${dir}/umask'\nexit 1\n`, { mode: 0o755 });
    }
    const script = path.resolve("src/embedded-host/embedded-inside.sh");
    const umask = process.umask(0o077);
    try {
      expect(() =>
        execFileSync("/bin/sh", [script, dir, "emulated"], { env: { PATH: dir }, stdio: "ignore" }),
      ).toThrow();
    } finally {
      process.umask(umask);
    }
    expect(readFileSync(path.join(dir, "umask"), "utf8").trim()).toBe("0022");
  });
});
