import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { checkoutOfHost } from "../../../src/checkout/checkout.ts";
import { noteCheckout } from "../../../src/embedded-host/embedded-files.ts";
import {
  describeLost,
  describeLostDisks,
  describeMoved,
  embeddedHosts,
  hostMovedFrom,
  lostHosts,
  lostRemedy,
  movedRemedy,
  whyHostIsAway,
} from "../../../src/embedded-host/lost-hosts.ts";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";

/** Places on disks that are not mounted. */
const disks = vi.hoisted(() => ({ away: [] as string[] }));
vi.mock("../../../src/embedded-host/local-mounts.ts", () => ({
  whyAway: (...places: string[]) => {
    const path = places.find((place) => disks.away.some((one) => place.startsWith(one)));
    return path === undefined ? undefined : { path, rule: "must be mounted", remedy: "mount it" };
  },
}));

let root: string;
beforeEach(() => {
  disks.away = [];
  root = mkdtempSync(path.join(tmpdir(), "lost-hosts-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A host's folder as a start leaves it. */
async function aHost(name: string, checkout: string, projects: string[] = []): Promise<string> {
  const host = { ...embeddedHostFor(checkout), dir: path.join(root, name) };
  mkdirSync(host.dir);
  writeFileSync(path.join(host.dir, "embedded-host"), `${host.dir}\n`);
  await noteCheckout(host);
  for (const project of projects) {
    mkdirSync(path.join(host.dir, "vms", project), { recursive: true });
    writeFileSync(path.join(host.dir, "vms", project, "project.qcow2"), "");
  }
  return host.dir;
}

const lost = { dir: "/hosts/a-1", checkout: "/home/me/a", projects: ["demo", "shop"], isGone: true, runs: true };

describe("an embedded host", () => {
  test("whose checkout was moved or deleted is lost, with the projects whose disks it has", async () => {
    const dir = await aHost("a-1", path.join(root, "gone"), ["shop", "demo"]);
    mkdirSync(path.join(dir, "vms", "base"));
    expect(lostHosts(root)).toEqual([
      { dir, checkout: path.join(root, "gone"), projects: ["demo", "shop"], isGone: true, runs: false },
    ]);
  });

  test("whose checkout is there is not, nor what tells no checkout, is no host's folder, or cannot be looked at", async () => {
    await aHost("there", root);
    rmSync(path.join(await aHost("of-an-older-version", "/nonexistent/x"), "checkout"));
    rmSync(path.join(await aHost("a-project", "/nonexistent/x"), "embedded-host"));
    writeFileSync(path.join(await aHost("copied", "/nonexistent/x"), "embedded-host"), "/elsewhere\n");
    writeFileSync(path.join(root, "a.lock"), "");
    // What stands on the way is no folder: whether it is there is not known.
    await aHost("unknown", path.join(root, "x".repeat(300)));
    expect(lostHosts(root)).toEqual([]);
    expect(lostHosts(path.join(root, "none"))).toEqual([]);
  });

  test("whose checkout, or whose disks, are on a disk that is not mounted is not known, rather than lost", async () => {
    const [gone, usb] = [path.join(root, "gone"), path.join(root, "usb")];
    mkdirSync(usb);
    await aHost("a-1", path.join(usb, "a"), ["demo"]);
    const dir = await aHost("b-1", gone);
    await aHost("c-1", path.join(root, "pulled-out", "a"), ["demo"]);
    expect(lostHosts(root)).toHaveLength(2);
    disks.away = [usb];
    expect(lostHosts(root).map((host) => host.dir)).toEqual([dir]);
    disks.away = [path.join(dir, "vms")];
    expect(lostHosts(root).map((host) => host.dir)).toEqual([path.join(root, "a-1")]);
  });

  test("that a stack was on is not known to be gone where its folder is on such a disk", () => {
    const uri = "qemu+unix:///system?socket=/hosts/a-1/run/libvirt/libvirt-sock";
    expect(whyHostIsAway(uri)).toBeUndefined();
    disks.away = ["/hosts"];
    expect(whyHostIsAway(uri)?.path).toBe("/hosts/a-1");
    expect([whyHostIsAway("qemu:///system"), whyHostIsAway(undefined)]).toEqual([undefined, undefined]);
  });

  test("that is lost is named with what it has, and with what can be done", () => {
    expect(describeLost(lost)).toBe(
      "/hosts/a-1 is the embedded host of /home/me/a, which is not there any more; it runs and has the project disks of demo, shop",
    );
    expect(describeLost({ ...lost, runs: false, projects: [] })).toMatch(/; it is stopped and has no project disk$/);
    expect(lostRemedy(lost)).toBe(
      "to have its VMs again, put the checkout back at /home/me/a (mv, or git clone) and run `make up` there; else stop it: make down GONE=/home/me/a; or remove it with all its disks, after a question: make clean GONE=/home/me/a",
    );
  });

  test("that is lost tells of each new project whether it has a disk of that name", () => {
    const [line, ...more] = describeLostDisks(["new", "shop"], [lost, { ...lost, projects: [] }]);
    expect(line).toBe(
      `shop: a new project disk, though there is one of that name: /hosts/a-1/vms/shop/project.qcow2. ${describeLost(lost)}; ${lostRemedy(lost)}`,
    );
    expect(more).toEqual([]);
  });

  test("that a stack was on when its checkout was moved is told by the stack's state", async () => {
    const on = (dir: string) => `qemu+unix:///system?socket=${dir}/run/libvirt/libvirt-sock`;
    const dir = await aHost("a-1", path.join(root, "gone"), ["demo"]);
    const all = embeddedHosts(root);
    const own = { dir: path.join(root, "b-1"), uri: on(path.join(root, "b-1")) };
    expect(hostMovedFrom(all, on(dir), own)).toEqual({
      dir,
      checkout: path.join(root, "gone"),
      projects: ["demo"],
      isGone: true,
    });
    expect(hostMovedFrom(all, on(encodeURIComponent(dir)), own)?.dir).toBe(dir);
    expect(hostMovedFrom(all, on(`${dir}2`), own)).toBeUndefined();
    expect(hostMovedFrom(all, on(dir), { ...own, dir })).toBeUndefined();
    expect(hostMovedFrom(all, on(dir), { ...own, uri: on(dir) })).toBeUndefined();
    expect(hostMovedFrom(all, undefined, own)).toBeUndefined();
    expect(describeMoved(lost)).toBe("this checkout was moved: its VMs are on the embedded host of /home/me/a");
    expect(movedRemedy(lost)).toBe(lostRemedy(lost));
  });

  test("that a stack was on is told also where there is another checkout by now, or the copied one still", async () => {
    const dir = await aHost("a-1", root, ["demo"]);
    const uri = `qemu+unix:///system?socket=${dir}/run/libvirt/libvirt-sock`;
    expect(lostHosts(root)).toEqual([]);
    const moved = hostMovedFrom(embeddedHosts(root), uri, { dir: path.join(root, "b-1"), uri: "qemu:///system" });
    expect(moved).toEqual({ dir, checkout: root, projects: ["demo"], isGone: false });
    expect(describeMoved({ checkout: "/home/me/a", isGone: false })).toBe(
      "this checkout was moved or copied from /home/me/a: its VMs are on the embedded host of the one that is there",
    );
    expect(movedRemedy({ checkout: "/home/me/a", isGone: false })).toBe(
      "one that was moved: put it back at /home/me/a, in place of what is there, and run `make up` there; a copy: have it begin with a state of its own: rm -r .local/state, then make up",
    );
  });
});

describe("a make target with GONE", () => {
  test.each(["/home/me/a", "/home/me/my vms & more", "/srv/it's $HOME $(x)"])("works on the host of %s", (checkout) => {
    const remedy = lostRemedy({ ...lost, checkout });
    const command = /make down (GONE=.*?); or remove/.exec(remedy)?.[1] ?? "";
    writeFileSync(path.join(root, "Makefile"), 'down:\n\t@printf %s "$$GONE"\n');
    const GONE = execFileSync("sh", ["-c", `make --no-print-directory down ${command}`], {
      cwd: root,
      encoding: "utf8",
    });
    expect(GONE).toBe(checkout);
    expect(checkoutOfHost({ GONE }, [{ ...lost, checkout }])).toBe(checkout);
  });

  test("works on no host of a checkout that is there, and without it on this one's", () => {
    expect(checkoutOfHost({}, [lost])).toBe(process.cwd());
    expect(() => checkoutOfHost({ GONE: "/home/me" }, [lost])).toThrow(
      [
        "There is no such embedded host.",
        '  - GONE: must be the path of a checkout that is gone, and whose host is there, but is "/home/me"',
        "    name one of those that are gone and have a host: /home/me/a; in a checkout that is there, run make without GONE",
      ].join("\n"),
    );
  });

  test("works on none of a checkout on a disk that was pulled out, and names the way on", () => {
    const back =
      "a checkout that is put back there (git clone) has its VMs again by `make up`, and removes them, with all their disks, by `make clean`";
    expect(() => checkoutOfHost({ GONE: "/run/media/me/usb/a" }, [lost])).toThrow(
      [
        "Whether the checkout /run/media/me/usb/a is gone is not known.",
        "  - /run/media/me/usb/a: must be there to be looked at, for it is below /run/media, where disks are mounted that come and go",
        `    connect that disk, then try again; if it is gone for good, ${back}`,
      ].join("\n"),
    );
  });

  test("works on none of a checkout on a disk that is not mounted, and names that", () => {
    disks.away = ["/mnt/usb"];
    expect(() => checkoutOfHost({ GONE: "/mnt/usb/a" }, [lost])).toThrow(
      "Whether the checkout /mnt/usb/a is gone is not known.\n  - /mnt/usb/a: must be mounted\n    mount it",
    );
  });
});
