import { mkdirSync, utimesSync } from "node:fs";
import path from "node:path";
import { execaSync } from "execa";
import { startEmbeddedHost } from "../../../src/embedded-host/embedded.ts";
import { type Image, ImageCache } from "../../../src/images/cache.ts";
import { publishImage } from "../../../src/images/publish.ts";
import { Checkout } from "./checkout.ts";

const pool = "project-vms-base";

/** An embedded host with two base images; the root disk of the project webapp stands on one of them. It boots no guest. */
export class BaseImageHost {
  readonly checkout: Checkout;
  /** A folder of the checkout's own. */
  readonly scratch: string;
  readonly cache: ImageCache;
  readonly images = {} as Record<"used" | "spare", Image>;
  private readonly folder: string;

  constructor(name: string) {
    this.checkout = new Checkout(name);
    this.scratch = path.join(this.checkout.dir, ".local");
    this.cache = new ImageCache(path.join(this.scratch, "images"));
    this.folder = path.join(this.checkout.host.storageDir, "base");
  }

  async create(): Promise<void> {
    const { checkout, cache, images } = this;
    await checkout.create();
    await startEmbeddedHost(checkout.host, () => undefined);
    await this.startPool(pool, this.folder);
    for (const [i, name] of (["used", "spare"] as const).entries()) {
      const file = cache.partial(name);
      images[name] = await cache.keep(name, file, async () => {
        execaSync("qemu-img", ["create", "-q", "-f", "qcow2", file, "64M"]);
        execaSync("qemu-io", ["-c", `write -P ${i + 1} 0 8M`, file]);
      });
      await this.publish(images[name]);
    }
    await this.startPool("project-webapp", path.join(checkout.host.storageDir, "webapp"));
    const overlay = ["vol-create-as", "project-webapp", "disk.qcow2", "64M", "--format", "qcow2"];
    const backing = ["--backing-vol", this.pathOf(images.used), "--backing-vol-format", "qcow2"];
    await checkout.virsh.run(...overlay, ...backing);
  }

  /** Where an image is on the host. */
  pathOf({ name }: Image): string {
    return path.join(this.folder, name);
  }

  markerOf(image: Image): string {
    return `${this.pathOf(image)}.sha512`;
  }

  /** Puts an image on the host as it would be there after two hours. */
  async publish(image: Image): Promise<void> {
    await publishImage(image, this.checkout.host.uri, pool, () => undefined);
    const past = Date.now() / 1000 - 7200;
    utimesSync(this.pathOf(image), past, past);
  }

  /** Makes an overlay behind libvirt's back. */
  overlayOn(image: Image, file: string): void {
    mkdirSync(path.dirname(file), { recursive: true });
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", this.pathOf(image), file]);
  }

  async startPool(name: string, folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    await this.checkout.virsh.run("pool-define-as", name, "dir", "--target", folder);
    await this.checkout.virsh.run("pool-start", name);
  }
}
