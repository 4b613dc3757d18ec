import { createHash } from "node:crypto";
import * as command from "@pulumi/command";
import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { isFiltered } from "../src/config/managed-networks.ts";
import type { HostSettings, ImageSettings } from "../src/config/parse.ts";
import { basePoolName, networkDomain } from "../src/core/names.ts";
import { imageIdentity } from "../src/images/image.ts";
import type { Inventory } from "../src/libvirt/inventory.ts";
import { virshFor } from "../src/libvirt/virsh.ts";
import { type NetworkTeardown, removeNetwork } from "../src/lifecycle/network.ts";
import { type BaseImage, createBaseImage, type PublishedImage } from "./base-image.ts";
import { dirPool } from "./dir-pool.ts";
import { entryCommand } from "./entry-command.ts";
import { stylesheet } from "./stylesheet.ts";
import { ChildFactory } from "./transform.ts";
import { type VmHooks, vmHooks } from "./vm-hooks.ts";
import type { HostChildren, TailnetArgs, VmHostArgs } from "./vm-host-args.ts";

/**
 * A libvirt host, made ready for VMs. It makes:
 * 1. the pool `project-vms-base` at `<storageDir>/base`, shared by all stacks of that host and kept when the stack goes;
 * 2. the base image in it, built or fetched, verified, and never overwritten;
 * 3. the network of its VMs (NAT, DHCP, DNS, autostarting), unless an existing one is named.
 *
 * @example
 * const settings = { uri: "qemu:///system", storageDir: "/var/lib/project-vms", network: …, virtualization: "auto" };
 * const host = new VmHost("storage", { settings, inventory: await takeInventory(settings) });
 */
export class VmHost extends pulumi.ComponentResource {
  readonly settings: HostSettings;
  readonly inventory: Inventory;
  readonly owner: string;
  readonly tailnet: TailnetArgs | undefined;
  readonly imageKind: ImageSettings["kind"];
  /** Whether its VMs have network filters: they have on a network that this program makes. */
  readonly filtersGuests: boolean;
  /** The libvirt provider of this host; VMs of this host are made with it. */
  readonly provider: libvirt.Provider;
  /** The base image that new VMs stand on. */
  readonly image: pulumi.Output<PublishedImage>;
  /** The name of the libvirt network that VMs are on. */
  readonly networkName: pulumi.Output<string>;
  /** What is done just before a child of a VM of this host is made or changed. */
  readonly hooks: VmHooks;
  readonly nodes: {
    basePool: libvirt.Pool;
    baseImage: command.local.Command;
    network: libvirt.Network | undefined;
    networkTeardown: command.local.Command | undefined;
  };
  private readonly children: HostChildren;
  private readonly images = new Map<string, BaseImage>();
  private readonly ownImage: ImageSettings;

  constructor(name: string, args: VmHostArgs, opts?: pulumi.ComponentResourceOptions) {
    super("project-vms:index:VmHost", name, {}, opts);
    this.settings = args.settings;
    this.inventory = args.inventory;
    this.owner = args.owner ?? pulumi.getStack();
    this.tailnet = args.tailnet;
    this.ownImage = args.image ?? { kind: "build" };
    this.imageKind = this.ownImage.kind;
    this.filtersGuests = isFiltered(args.settings.network, args.inventory.networks);

    this.provider = new libvirt.Provider(`${name}-libvirt`, { uri: args.settings.uri }, { parent: this });
    this.hooks = vmHooks(name, this);
    this.children = new ChildFactory(this, name, args.transform);
    const basePool = createBasePool(this.children, args, this.provider);
    const { command: baseImage, image } = this.createImage(this.ownImage, basePool, "baseImage");
    const { network, networkTeardown } = createNetwork(this.children, name, args, this.owner, this.provider);

    this.image = image.published;
    this.networkName = network ? network.name : pulumi.output(args.settings.network.name);
    this.nodes = { basePool, baseImage, network, networkTeardown };
    this.registerOutputs({ image: this.image, networkName: this.networkName });
  }

  /** The host's own base image, or another one for VMs that want it; each is published once. */
  baseImage(settings = this.ownImage): BaseImage {
    const identity = imageIdentity(settings);
    const role = `baseImage-${createHash("sha256").update(identity).digest("hex").slice(0, 8)}`;
    return this.images.get(identity) ?? this.createImage(settings, this.nodes.basePool, role).image;
  }

  private createImage(settings: ImageSettings, basePool: libvirt.Pool, role: string) {
    const made = createBaseImage(this.children, this.settings.uri, settings, basePool, role);
    this.images.set(imageIdentity(settings), made.image);
    return made;
  }
}

/**
 * A bridge with the spanning tree protocol on listens to any guest that says it is a bridge too, and those frames pass by every
 * filter. There is one bridge and nothing to span. A change of this recreates no network.
 */
const networkXslt = stylesheet([
  { "@_match": "/network/bridge/@stp", "xsl:attribute": { "@_name": "stp", "#text": "off" } },
]);

/** Kept when the stack goes: overlays of other stacks stand on its images. */
function createBasePool(children: HostChildren, { settings, inventory }: VmHostArgs, provider: libvirt.Provider) {
  const { args, opts } = dirPool(basePoolName, `${settings.storageDir}/base`, inventory, provider);
  return children.create("basePool", libvirt.Pool, args, opts);
}

/**
 * Its DNS domain is the mark of its owner: a libvirt network has no description. As with the children of a VM, the provider
 * deletes nothing: a network that is in the way is removed by a hook, and the last one by the teardown.
 */
function createNetwork(
  children: HostChildren,
  hostName: string,
  { settings, inventory }: VmHostArgs,
  owner: string,
  provider: libvirt.Provider,
) {
  const { network: wanted, uri } = settings;
  if (wanted.kind === "existing") return { network: undefined, networkTeardown: undefined };
  // One with other addresses is recreated; what is imported could not be.
  const found = inventory.networks.find(({ name, cidr }) => name === wanted.name && cidr === wanted.cidr);
  const makeWay = new pulumi.ResourceHook(`${hostName}-make-way-for-network`, () =>
    removeNetwork(virshFor(uri), wanted.name, owner),
  );
  const networkTeardown = children.create("networkTeardown", command.local.Command, {
    create: "true",
    delete: entryCommand(new URL("../src/steps/remove-network.ts", import.meta.url)),
    environment: { PROJECT_VMS_NETWORK: JSON.stringify({ uri, name: wanted.name, owner } satisfies NetworkTeardown) },
    logging: "stderr",
  });
  const network = children.create(
    "network",
    libvirt.Network,
    {
      name: wanted.name,
      mode: "nat",
      domain: networkDomain(owner),
      addresses: [wanted.cidr],
      autostart: true,
      dhcp: { enabled: true },
      dns: { enabled: true, localOnly: true },
      ...(found?.active ? {} : { xml: { xslt: networkXslt } }),
    },
    {
      provider,
      retainOnDelete: true,
      hooks: { beforeCreate: [makeWay] },
      dependsOn: networkTeardown,
      // One that is stopped, as a removal that was cut off leaves it, would be adopted stopped; it is recreated.
      ...(found?.active ? { import: found.uuid } : {}),
      ...(found ? { ignoreChanges: ["xml"] } : {}),
    },
  );
  return { network, networkTeardown };
}
