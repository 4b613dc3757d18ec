import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { embeddedHostAt, embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";

/** Where embedded hosts are, for this file. */
const place = vi.hoisted(() => ({ root: "" }));
vi.mock("../../../src/core/names.ts", async (original) => ({
  ...(await original<object>()),
  get embeddedRoot() {
    return place.root;
  },
}));
const dir = mkdtempSync(path.join(tmpdir(), "layout-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("a URI that goes by another way to the folder of an embedded host leads to that host", () => {
  place.root = path.join(dir, "hosts");
  mkdirSync(path.join(dir, "big-disk"));
  symlinkSync("big-disk", place.root);
  const host = embeddedHostFor("/a/checkout");
  const at = (folder: string) => embeddedHostAt(`qemu+unix:///system?socket=${folder}/run/libvirt/libvirt-sock`)?.dir;
  const real = path.join(dir, "big-disk", path.basename(host.dir));
  mkdirSync(path.join(dir, "elsewhere"));
  symlinkSync("../elsewhere", real);
  for (const way of [host.dir, real, path.join(dir, "elsewhere")]) expect(at(way)).toBe(host.dir);
  expect(at(path.join(dir, "none"))).toBe(path.join(dir, "none"));
});

test("so does one that goes by a link to its socket, or to a folder of it, or has a + in it", () => {
  place.root = path.join(dir, "more-hosts");
  const host = embeddedHostFor("/a/checkout");
  const socket = path.join(host.dir, "run/libvirt/libvirt-sock");
  mkdirSync(path.dirname(socket), { recursive: true });
  writeFileSync(socket, "");
  const linked = (name: string, target: string) => {
    mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    symlinkSync(target, path.join(dir, name));
  };
  linked("vms.sock", socket);
  linked("short", path.join(host.dir, "run"));
  linked("run/libvirt", path.dirname(socket));
  linked("big+disk", host.dir);
  const ways = [
    "vms.sock",
    "short/libvirt/libvirt-sock",
    "run/libvirt/libvirt-sock",
    "big+disk/run/libvirt/libvirt-sock",
  ];
  for (const way of ways) expect(embeddedHostAt(`qemu+unix:///system?socket=${dir}/${way}`)?.dir).toBe(host.dir);
  expect(embeddedHostAt("qemu+unix:///system?socket=/run/libvirt/libvirt-sock")).toBeUndefined();
  expect(embeddedHostAt("qemu:///system")).toBeUndefined();
});
