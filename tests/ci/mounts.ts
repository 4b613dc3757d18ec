import { readFileSync } from "node:fs";

export interface Mount {
  place: string;
  type: string;
  /** The filesystem's device number, and which folder of it is mounted. */
  source: string;
  /** Of btrfs: the subvolume that the mounted folder is in. All of them have one device number, and none goes into another. */
  subvolume?: string;
  isReadOnly: boolean;
}

/** The mounts of this machine at this moment. */
export const mountsNow = () => parseMounts(readFileSync("/proc/self/mountinfo", "utf8"));

/** The mounts in a text like `/proc/self/mountinfo`: proc(5). */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [, , device = "", folder = "", place = "", options = ""] = before.split(" ");
      const [type = "", , superOptions = ""] = after.split(" ");
      const [, subvolume] = type === "btrfs" ? (/(?:^|,)subvol=(.*)$/.exec(superOptions) ?? [null, folder]) : [];
      return {
        place: place.replaceAll(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
        type,
        source: `${device} ${folder}`,
        isReadOnly: options.split(",").includes("ro"),
        ...(subvolume === undefined ? {} : { subvolume }),
      };
    });
}

/** What sessions, containers and packages of the machine's own mount. */
const machineMounts =
  /^\/(run\/(user|credentials|docker|snapd|containerd)|var\/lib\/(docker|containerd|snapd)|snap|media|proc)\//;

export const isOfMachine = (place: string) => machineMounts.test(place);

/** Filesystems that keep files on this machine; not what the kernel makes up, such as /proc, nor what other machines serve. */
const kept = /^(ext[234]|xfs|btrfs|f2fs|bcachefs|zfs|overlay|vfat|tmpfs|ramfs|devtmpfs)$/;

/** The mount points below which files are looked at: one for each filesystem that can be written to. Pure. */
export function filesystemRoots(mounts: Mount[]): string[] {
  // Of what is mounted over one another the last one counts.
  const visible = [...new Map(mounts.map((mount) => [mount.place, mount])).values()];
  const candidates = visible.filter(
    ({ place, type, isReadOnly }) =>
      kept.test(type) && !isReadOnly && !isOfMachine(place) && !place.startsWith("/sys/"),
  );
  // A folder that is mounted at a second place too is looked at where it is at home.
  const mounted = new Set(candidates.map(({ source }) => source));
  const seen = new Set<string>();
  return candidates.flatMap(({ place, source, subvolume = "/" }) => {
    const whole = `${source.split(" ")[0]} ${subvolume}`;
    const isPart = source !== whole && mounted.has(whole);
    if (isPart || seen.has(source)) return [];
    seen.add(source);
    return [place];
  });
}
