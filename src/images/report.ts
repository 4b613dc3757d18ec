import { formatSize } from "../core/sizes.ts";
import type { Pruned, PrunePlan } from "./prune.ts";
import { type BaseImage, type ImageUsage, isNewerThanMarker, type StandingOn, usersOf } from "./usage.ts";
import type { Verdict } from "./verify.ts";

/** A base image as `project-vm images --json` prints it. Keys may be added; none is renamed or taken away. */
export interface ImageRow {
  name: string;
  /** On the host. */
  path: string;
  /**
   * `whole`: marked as such. `suspect`: written to after it was marked. `unmarked`: its upload was cut off, or goes on.
   * `missing`: not there, but something stands on it.
   */
  state: "whole" | "suspect" | "unmarked" | "missing";
  /** What a guest sees, in bytes; null when it is missing. */
  capacity: number | null;
  /** What it takes up on the host, in bytes; null when it is missing. */
  allocation: number | null;
  /** Names of the projects whose disks stand on it. */
  projects: string[];
  /** Paths of all other volumes that do. */
  others: string[];
  /** Names of the domains that have the image itself as a disk. */
  domains: string[];
}

/** The base images of a host as a list, the missing ones last. */
export function imageRows({ images, missing }: ImageUsage): ImageRow[] {
  return [
    ...images.map((image) => {
      const { name, path, capacity, allocation, projects, others, domains } = image;
      return { name, path, state: stateOf(image), capacity, allocation, projects, others, domains };
    }),
    ...missing.map(({ name, path, projects, others }) => {
      return { name, path, state: "missing" as const, capacity: null, allocation: null, projects, others, domains: [] };
    }),
  ];
}

/** All that stands on an image, in words. @example "projects.api, projects.webapp" */
export function describeUsers(image: StandingOn & { domains?: string[] }): string {
  return usersOf(image).join(", ") || "nothing";
}

/** What a prune would do, an image a line. */
export function describePrune({ remove, keep }: PrunePlan): string[] {
  return [
    ...keep.map(({ image, reason }) => `stays: ${image.name}  ${formatSize(image.allocation)}  ${reason}`),
    ...remove.map(({ name, allocation }) => `goes:  ${name}  ${formatSize(allocation)}`),
  ];
}

/** What a prune did, as `project-vm images prune --json` prints it; nothing went and nothing was judged where it was not confirmed. */
export function pruneAnswer({ removed, kept }: Pruned = { removed: [], kept: [] }) {
  return {
    removed: removed.map(({ name }) => name),
    kept: kept.map(({ image, reason }) => ({ name: image.name, reason })),
  };
}

/** What came of reading base images whole, as `project-vm images verify --json` prints it. */
export function verdictRows(verdicts: Verdict[]) {
  return verdicts.map(({ image: { name, path, projects }, isWhole, found, wanted }) => {
    return { name, path, whole: isWhole, found, wanted, projects };
  });
}

function stateOf(image: BaseImage): ImageRow["state"] {
  if (!image.marker) return "unmarked";
  return isNewerThanMarker(image) ? "suspect" : "whole";
}
