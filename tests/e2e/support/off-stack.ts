import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { vi } from "vitest";
import { startEmbeddedHost, stopEmbeddedHost } from "../../../src/embedded-host/embedded.ts";
import { reapOrphans } from "../../../src/engine/orphans.ts";
import { cacheFolder } from "../../../toolchain/ensure/places.ts";
import { Checkout } from "./checkout.ts";
import { expectSuccess } from "./expect-success.ts";
import { expectMarker, writeMarker } from "./marker.ts";
import { makeImages } from "./sweep-disks.ts";

const defaults = { memory: "256 MiB", cpus: 1, disk: "64 MiB", rootDisk: "1 GiB" };

/** A byte that is on the project disk of `alpha` from the beginning. */
const marker = 0xa1;

/** The stack `local` with small VMs that are off, on a tiny base image: begun again in seconds, as often as a test likes. */
export class OffStack {
  readonly checkout: Checkout;
  /** Before any test gives itself a cache of its own. */
  private readonly toolchains = cacheFolder();
  private image: object = {};
  /** What was begun with, by its projects: a copy of all that is the stack's. */
  private readonly copies = new Map<string, string>();
  private readonly copiesFolder: string;

  constructor(name: string) {
    this.checkout = new Checkout(name);
    this.copiesFolder = `${this.checkout.dir}.copies`;
  }

  /**
   * Gives the stack a host, a state and disks of its own: nothing is left of what was there. `alpha` has its marker. What was
   * made once for these projects is copied.
   */
  async begin(projects: Record<string, object> = { alpha: {} }): Promise<void> {
    this.reap();
    const key = JSON.stringify(projects);
    const copy = this.copies.get(key) ?? path.join(this.copiesFolder, String(this.copies.size));
    if (this.copies.has(key)) return this.bringBack(copy);
    await this.make(projects);
    await this.keep(copy);
    this.copies.set(key, copy);
  }

  private async make(projects: Record<string, object>): Promise<void> {
    const { checkout } = this;
    await checkout.create({ running: false });
    // A tiny image is nothing for the user's own cache.
    vi.stubEnv("XDG_CACHE_HOME", path.join(checkout.dir, ".local/cache"));
    this.image = makeImages(path.join(checkout.dir, ".local/images")).a;
    await startEmbeddedHost(checkout.host, () => undefined);
    this.configure(projects);
    expectSuccess(await checkout.pulumi("stack", "init"));
    expectSuccess(await this.up());
    await writeMarker(this.disk("alpha"), marker);
  }

  private keep(copy: string): Promise<void> {
    return this.transfer(copy, (place, kept) => replace(kept, place));
  }

  private bringBack(copy: string): Promise<void> {
    return this.transfer(copy, (place, kept) => replace(place, kept));
  }

  private async transfer(copy: string, move: (place: string, kept: string) => Promise<void>): Promise<void> {
    const { dir, host } = this.checkout;
    await stopEmbeddedHost(host, () => undefined);
    // All that is the stack's.
    const places = { host: host.dir, state: path.join(dir, ".local"), config: path.join(dir, "Pulumi.local.yaml") };
    for (const [name, place] of Object.entries(places)) await move(place, path.join(copy, name));
    await startEmbeddedHost(host, () => undefined);
  }

  async remove(): Promise<void> {
    vi.unstubAllEnvs();
    await this.checkout.remove();
    rmSync(this.copiesFolder, { recursive: true, force: true });
  }

  configure(projects: Record<string, object>): void {
    this.checkout.configure({ ...this.basics(), projects });
  }

  /** The config that its projects share. */
  basics(): { image: object; defaults: object } {
    return { image: this.image, defaults };
  }

  up() {
    return this.checkout.pulumi("up", "--yes", "--skip-preview");
  }

  disk(project: string): string {
    return path.join(this.checkout.host.storageDir, project, "project.qcow2");
  }

  /** @throws Error when the project disk of `alpha` is not as it was left */
  expectData(): Promise<void> {
    return expectMarker(this.disk("alpha"), marker);
  }

  async domains(): Promise<string[]> {
    return (await this.checkout.virsh.run("list", "--all", "--name")).split("\n").filter(Boolean).sort();
  }

  /** All files of the state, by their paths in it. */
  stateFiles(): string[] {
    return readdirSync(path.join(this.checkout.dir, ".local/state/.pulumi"), { recursive: true, encoding: "utf8" });
  }

  /** Ends the plugins of engines that were killed. */
  reap(): void {
    reapOrphans(this.toolchains);
  }
}

/** Puts a copy of a file, or of all that is in a folder, in place of another one. */
async function replace(place: string, by: string): Promise<void> {
  mkdirSync(path.dirname(place), { recursive: true });
  if (existsSync(place) && statSync(place).isDirectory()) {
    for (const entry of readdirSync(place)) rmSync(path.join(place, entry), { recursive: true });
  }
  await execa("cp", ["-a", "-T", by, place]);
}
