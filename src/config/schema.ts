import { z } from "zod";
import { parseCidr } from "../core/cidr.ts";
import { InvalidValue } from "../core/errors.ts";
import { longestName, namePattern } from "../core/names.ts";
import { GiB, MiB, sizePattern } from "../core/sizes.ts";
import { intervalPattern, parseEvery, parseKeep } from "./backup-settings.ts";
import * as values from "./config-values.ts";
import { defaults } from "./defaults.ts";
import { firmwares } from "./settings.ts";
import { parsePublicKey } from "./ssh-keys.ts";
import * as tailnetValues from "./tailnet-settings.ts";

/**
 * The config of a stack: what is allowed, what counts where nothing is said, and what it all means.
 * The parser, the JSON Schema for editors and the reference in docs/ all come from here.
 */

/** What the documentation says of a key. Its default comes from the schema itself. */
export interface FieldDocs {
  /** What it is for. */
  purpose: string;
  /** What is counted, where something is. */
  unit?: string;
  /** What counts without it, where that is not a value of the table of defaults and it is not required either. */
  absent?: string;
  /** What changing it does to a VM that runs, and to its data. */
  changing: string;
  /** The value, as YAML. */
  example: string;
}

/** The documentation of every key, by the schema of its value. */
export const fieldDocs = z.registry<FieldDocs>();

/** How the issue of a value's reader passes through zod: the `params` of a custom issue. */
export interface ReaderParams {
  invalid: InvalidValue;
}

/** A value that one of our own readers reads; `json` is what the JSON Schema says of it. */
function read<T>(reader: (value: unknown) => T, json: Record<string, unknown>, from: z.ZodType = z.unknown()) {
  const transform = from.transform((value, context): T => {
    try {
      return reader(value);
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      const params: ReaderParams = { invalid: error };
      context.issues.push({ code: "custom", input: value, params });
      return z.NEVER;
    }
  });
  return transform.meta(json);
}

const text = <T>(reader: (value: unknown) => T) => read(reader, { type: "string" });
const size = (minimum: number) => read(values.sizeFrom(minimum), { type: "string", pattern: sizePattern });

/** A map of these keys and no others. The message about an unknown key is the list of the known ones. */
function closed<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(" ");
  return z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? known : undefined) });
}

const restarts = "The VM is shut down gracefully and comes up with the new figure. No data is touched.";

const vm = {
  memory: size(128 * MiB).register(fieldDocs, {
    purpose: "Memory of the VM.",
    unit: "MiB, GiB or TiB (steps of 1024)",
    changing: restarts,
    example: "16 GiB",
  }),
  cpus: read(values.parseCpus, { type: "integer", minimum: 1 }).register(fieldDocs, {
    purpose: "Virtual CPUs of the VM.",
    unit: "whole CPUs",
    changing: restarts,
    example: "8",
  }),
  disk: size(64 * MiB).register(fieldDocs, {
    purpose: "Size of the project disk, mounted at `/home/dev/project`. It takes up space on the host as it fills.",
    unit: "MiB, GiB or TiB (steps of 1024)",
    changing:
      "A bigger one grows the disk and its filesystem in place, while the VM runs, with all that is on it. " +
      "A smaller one is refused: no edit of a config replaces, shrinks or deletes a project disk. A kept disk is adopted when its " +
      "project comes back: a smaller one grows to this size, a bigger one keeps its own.",
    example: "100 GiB",
  }),
  rootDisk: size(GiB).register(fieldDocs, {
    purpose: "Size of the root disk, an overlay on the base image. It takes up space on the host as it fills.",
    unit: "MiB, GiB or TiB (steps of 1024)",
    changing:
      "A bigger one grows the disk and its filesystem in place, while the VM runs. A smaller one is refused, " +
      "unless the root is rebuilt (`rebuild`) at the same time. The project disk is not touched.",
    example: "40 GiB",
  }),
  firmware: z.enum(firmwares).register(fieldDocs, {
    purpose:
      "What the VM boots by. The image must be able to: one of `kind: build` boots by both, Debian's published ones do too. " +
      "`uefi` takes the package `ovmf` on the host.",
    changing: "The VM is shut down gracefully and comes up under the other one. No data is touched.",
    example: "uefi",
  }),
  autostart: z.boolean().register(fieldDocs, {
    purpose: "Whether the VM starts when its host does.",
    changing: "Counts from the host's next start. The VM goes on as it is; no data is touched.",
    example: "true",
  }),
  keepData: z.boolean().register(fieldDocs, {
    purpose:
      "Whether the project disk stays on the host when the entry, or the whole stack, is removed. With `false` it goes " +
      "too, with all that is on it; backups of it stay. It stays all the same where another VM has it, or a clone of it stands on it.",
    changing: "Counts from the next update on, for a later removal. The VM goes on as it is; no data is touched.",
    example: "false",
  }),
  backup: closed({
    every: read(parseEvery, { type: "string", pattern: intervalPattern }).register(fieldDocs, {
      purpose: "How often a backup is made: a number of hours, days or weeks, from `1h` to `365d`.",
      changing: "The next backup is made by the new interval. Those that are there stay until `keep` lets them go.",
      example: "1d",
    }),
    keep: read(parseKeep, { type: "integer", minimum: 1 }).register(fieldDocs, {
      purpose: "How many backups are kept; older ones are removed after a new one was made and checked.",
      unit: "whole backups",
      changing: "Counts when the next backup is made. The project disk is not touched.",
      example: "7",
    }),
  })
    .optional()
    .register(fieldDocs, {
      purpose:
        "Has the host back the project disk up by itself, while the VM runs, into `<storageDir>/backups/<project>/`. " +
        "It takes a host with systemd, and root there.",
      absent: "none are made by themselves",
      changing: "The timer on the host is changed, or removed. Backups that are there stay; no data is touched.",
      example: "{every: 1d, keep: 7}",
    }),
};

const newNetwork = "The network is recreated, which cuts off the VMs on it until they restart. No data is touched.";

const managedNetwork = closed({
  name: text(values.parseNetworkName)
    .register(fieldDocs, {
      purpose: "Name of the network that the stack makes and owns.",
      changing: newNetwork,
      example: "project-vms",
    })
    .prefault(defaults.host.network.name),
  cidr: text(parseCidr)
    .register(fieldDocs, {
      purpose: "IPv4 addresses of the network that the stack makes; guests reach the outside through the host (NAT).",
      changing: newNetwork,
      example: "10.77.0.0/24",
    })
    .prefault(defaults.host.network.cidr),
}).transform(({ name, cidr }) => ({ kind: "managed" as const, name, cidr: `${cidr.address}/${cidr.prefix}` }));

const existingNetwork = read(values.parseExistingNetworkName, { type: "string" }, z.string()).transform((name) => ({
  kind: "existing" as const,
  name,
}));

/** As it is written; without a URI it is of the embedded host, which has `uplink` alone. */
const writtenHost = closed({
  uri: text(values.parseHostUri).optional().register(fieldDocs, {
    purpose: "The host's libvirt.",
    absent: "none, it is required, unless `uplink` stands alone",
    changing: "The VMs are recreated on the new host. Their project disks stay on the old one and are not copied.",
    example: "qemu+ssh://root@storage/system",
  }),
  storageDir: text(values.parseStorageDir)
    .register(fieldDocs, {
      purpose:
        "Folder on the host for all disks: `<storageDir>/<project>/` and, for the base images, `<storageDir>/base/`.",
      changing: "The VMs are recreated in the new folder. Their project disks stay in the old one and are not moved.",
      example: "/var/lib/project-vms",
    })
    .prefault(defaults.host.storageDir),
  network: z
    .union([existingNetwork, managedNetwork])
    .register(fieldDocs, {
      purpose:
        "The libvirt network of the VMs: the name of one that is there, or a map for one that the stack makes and owns. On one " +
        "that a stack makes, each VM has an address of its own and speaks for nobody else (docs/network.md); one of yours is left alone.",
      changing: "The VMs are shut down gracefully and come up on the other network. No data is touched.",
      example: "default",
    })
    .prefault(defaults.host.network),
  virtualization: z
    .enum(["auto", "kvm", "emulated"])
    .register(fieldDocs, {
      purpose:
        "`kvm` wants hardware virtualization, `emulated` does without (far slower), `auto` tries and takes what works.",
      changing: "The VMs are shut down gracefully and come up under the other one. No data is touched.",
      example: "kvm",
    })
    .prefault(defaults.host.virtualization),
  uplink: z
    .boolean()
    .optional()
    .register(fieldDocs, {
      purpose:
        "Only without `uri`, for the embedded libvirt: whether its VMs reach the outside, where this machine does. They reach " +
        "neither this machine nor private networks in any case.",
      absent: "true",
      changing:
        "Counts from the next `make up` or `project-vm apply`; the VMs go on. One stack of the checkout that says `false` is enough.",
      example: "false",
    }),
}).meta({ anyOf: [{ required: ["uri"] }, { required: ["uplink"] }] });

const host = writtenHost.transform(({ uri, uplink, ...rest }, context) => {
  const refuse = (key: string, rule: string, remedy: string) => {
    const params: ReaderParams = { invalid: new InvalidValue(rule, remedy) };
    context.issues.push({ code: "custom", path: [key], input: undefined, params });
    return z.NEVER;
  };
  const forEmbedded = "is for the embedded libvirt alone, which has no `uri`";
  if (uri !== undefined) return uplink === undefined ? { uri, ...rest } : refuse("uplink", forEmbedded, "remove it");
  if (uplink === undefined) return refuse("uri", "is missing", values.hostUriRemedy);
  const { name, kind } = rest.network;
  const own = [
    ["storageDir", rest.storageDir === defaults.host.storageDir],
    [
      "network",
      kind === "managed" && name === defaults.host.network.name && rest.network.cidr === defaults.host.network.cidr,
    ],
    ["virtualization", rest.virtualization === defaults.host.virtualization],
  ] as const;
  for (const [key, isDefault] of own) {
    if (!isDefault) refuse(key, "is not for the embedded libvirt", "remove it, or write the `uri` of a host of yours");
  }
  return undefined;
});

const image = z.discriminatedUnion("kind", [
  closed({
    kind: z.literal("build").register(fieldDocs, {
      purpose: "`build`: Debian testing with all tools baked in, made on this machine. `url`: a published cloud image.",
      changing: "Counts for VMs made from then on; the others keep the image that they stand on. No data is touched.",
      example: "build",
    }),
  }),
  closed({
    kind: z.literal("url"),
    url: text(values.parseImageUrl).register(fieldDocs, {
      purpose: "Where the qcow2 image is (https, http or file). Only with `kind: url`.",
      changing: "As for `kind`.",
      example: values.imageUrlExample,
    }),
    sha512: read(values.parseSha512, { type: "string", pattern: "^[0-9a-fA-F]{128}$" }).register(fieldDocs, {
      purpose: "The image's SHA-512: 128 hexadecimal digits. What does not match is refused. Only with `kind: url`.",
      changing: "As for `kind`.",
      example: "…",
    }),
  }),
]);

/** A VM's settings with the built-in defaults where there is none. */
export const vmSchema = closed({
  memory: vm.memory.prefault(defaults.vm.memory),
  cpus: vm.cpus.prefault(defaults.vm.cpus),
  disk: vm.disk.prefault(defaults.vm.disk),
  rootDisk: vm.rootDisk.prefault(defaults.vm.rootDisk),
  firmware: vm.firmware.prefault(defaults.vm.firmware),
  autostart: vm.autostart.prefault(defaults.vm.autostart),
  keepData: vm.keepData.prefault(defaults.vm.keepData),
  backup: vm.backup,
});

/** What a project alone can say, and no default can. */
const own = {
  rebuild: read(values.parseRebuild, { type: ["string", "number"] }).register(fieldDocs, {
    purpose: "Asks for a new root disk, made from the newest base image, whenever another text stands here.",
    absent: "nothing: the root disk stays as it is",
    changing:
      "The VM is shut down gracefully, its root disk is recreated, and it comes up as the same machine: the project disk, " +
      "SSH host keys and Claude Code's login are kept. What else was installed or written outside of the project disk is gone. " +
      "Where others have undefined the domain and left its disks, the VM is redefined on the root that is there; a preview says so.",
    example: "2026-11-21",
  }),
  image: image.optional().register(fieldDocs, {
    purpose: "This project's own base image, in place of the stack's; with the same keys as `project-vms:image`.",
    absent: "the stack's",
    changing: "As changing `rebuild`: the root disk is recreated from that image. The project disk is kept.",
    example: "{kind: build}",
  }),
};

/** A single VM's settings, complete with the built-in defaults. */
export const projectSchema = closed({
  ...vmSchema.shape,
  rebuild: own.rebuild.optional(),
  image: own.image,
});

const project = closed({ ...vm, ...own })
  .partial()
  .nullable()
  .transform((settings) => settings ?? {});

const rejoins =
  "Counts for VMs that join from then on. The others stay in their tailnet; no VM restarts, no data is touched.";

const tailnet = closed({
  domain: text(tailnetValues.parseTailnetDomain).register(fieldDocs, {
    purpose: "The tailnet's MagicDNS domain: VMs are reached as `project-<name>.<domain>`.",
    changing: rejoins,
    example: "tail1234.ts.net",
  }),
  tag: text(tailnetValues.parseTag)
    .register(fieldDocs, {
      purpose: "The tag that the VMs have in the tailnet, for its policy; and by which a device is known as ours.",
      changing:
        "The VMs log in again, each with a key of the new tag, as the devices that they are. No VM restarts, no data is touched.",
      example: "tag:project-vm",
    })
    .prefault(defaults.tailnet.tag),
  server: text(tailnetValues.parseControlServer)
    .register(fieldDocs, {
      purpose: "The control server that VMs log in to.",
      absent: "Tailscale's own",
      changing:
        "The VMs log out of the former one and join the new one, each with a fresh key. No VM restarts, no data is touched.",
      example: "https://headscale.example.com",
    })
    .optional(),
  keyFile: text(tailnetValues.parseKeyFile)
    .register(fieldDocs, {
      purpose:
        "A file on this machine that holds an auth key, readable by its owner alone; in place of any API. Read only for " +
        "VMs that have no identity in the tailnet yet.",
      absent: "keys come from an API",
      changing: rejoins,
      example: "/run/secrets/tailscale",
    })
    .optional(),
  headscale: closed({
    user: text(tailnetValues.parseHeadscaleUser).register(fieldDocs, {
      purpose: "The headscale user that the VMs' keys are made for.",
      changing: rejoins,
      example: "vms",
    }),
  })
    .optional()
    .register(fieldDocs, {
      purpose:
        "Has keys made by the headscale at `server`, with the API key in `project-vms:headscaleApiKey` or HEADSCALE_API_KEY.",
      absent: "keys come from the Tailscale API",
      changing: rejoins,
      example: "{user: vms}",
    }),
  reusable: z
    .boolean()
    .register(fieldDocs, {
      purpose: "Whether a VM's key can be used more than once. Each VM has its own in any case.",
      changing: rejoins,
      example: "true",
    })
    .prefault(defaults.tailnet.reusable),
  keyExpiry: read(tailnetValues.parseKeyExpiry, { type: "string", pattern: intervalPattern })
    .register(fieldDocs, {
      purpose: "How long a key can be used before a VM has joined with it. A VM that has joined stays.",
      changing: rejoins,
      example: "1d",
    })
    .prefault(defaults.tailnet.keyExpiry),
});

/** The whole config of a stack, its keys without the namespace `project-vms:`. */
export const stackSchema = closed({
  host: host
    .register(fieldDocs, {
      purpose: "The machine that the VMs run on.",
      absent: "the embedded libvirt of this checkout, on this machine",
      changing: "The VMs are recreated on the other host. Their project disks stay where they are and are not copied.",
      example: "{uri: qemu+ssh://root@storage/system}",
    })
    .optional(),
  image: image
    .register(fieldDocs, {
      purpose: "The base image of new VMs.",
      changing: "Counts for VMs made from then on; the others keep the image that they stand on. No data is touched.",
      example: "{kind: build}",
    })
    .prefault(defaults.image),
  sshKeys: z
    .array(text(parsePublicKey))
    .min(1)
    .register(fieldDocs, {
      purpose: "The SSH public keys that may log in as `dev`.",
      absent: "the user's own, from `~/.ssh/id_*.pub`",
      changing: "Counts for VMs made from then on. No data is touched.",
      example: '["ssh-ed25519 AAAA… me@laptop"]',
    })
    .optional(),
  tailnet: tailnet
    .register(fieldDocs, {
      purpose:
        "The tailnet that every VM joins, as `project-<name>` and with Tailscale SSH, and leaves when it is removed. " +
        "Credentials for the Tailscale API are `tailscale:apiKey` (a secret), or `tailscale:oauthClientId` and " +
        "`tailscale:oauthClientSecret`, or the usual environment variables.",
      absent: "the VMs are in no tailnet",
      changing: "The VMs join the tailnet, or leave it. No VM restarts, no data is touched.",
      example: "{domain: tail1234.ts.net}",
    })
    .optional(),
  // As text or, encrypted, as a map: an editor sees either.
  headscaleApiKey: read(tailnetValues.parseSecret, {})
    .register(fieldDocs, {
      purpose: "The API key of a headscale server, as a secret: `pulumi config set --secret headscaleApiKey`.",
      absent: "HEADSCALE_API_KEY of the environment",
      changing: "No VM is touched.",
      example: "…",
    })
    .optional(),
  defaults: vmSchema
    .register(fieldDocs, {
      purpose: "What counts for a project that says nothing itself.",
      changing: "As changing it in each project that does not set it.",
      example: "{memory: 4 GiB, cpus: 2}",
    })
    .prefault({}),
  projects: z
    .record(z.string().meta({ pattern: namePattern, maxLength: longestName }), project)
    .register(fieldDocs, {
      purpose: "The projects: one VM for each entry, by name. `myapp: {}` is enough; an empty map is no VM at all.",
      changing:
        "A new entry is a new VM. A removed one takes its VM away and keeps its project disk; put back, it has it again.",
      example: "{myapp: {}}",
    })
    .prefault({}),
});

/** A config that keeps all rules, before the projects have their defaults. */
export type ValidConfig = z.output<typeof stackSchema>;

/** The keys that an entry has, those of a VM first. */
export const projectKeys = Object.keys(projectSchema.shape) as (keyof typeof projectSchema.shape)[];

/** The keys that have a default, in the order of the documentation. */
export const vmKeys = Object.keys(vm) as (keyof typeof vm)[];
