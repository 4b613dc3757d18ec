/**
 * What counts where a config says nothing: one table, written as a user would write it.
 * The schema puts these values in before it validates, and the documentation takes them from the schema.
 */
export const defaults = {
  host: {
    storageDir: "/var/lib/project-vms",
    network: { name: "project-vms", cidr: "10.77.0.0/24" },
    virtualization: "auto",
  },
  image: { kind: "build" },
  tailnet: { tag: "tag:project-vm", reusable: false, keyExpiry: "1h" },
  vm: {
    memory: "8 GiB",
    cpus: 4,
    disk: "50 GiB",
    rootDisk: "20 GiB",
    firmware: "bios",
    autostart: false,
    keepData: true,
  },
} as const;
