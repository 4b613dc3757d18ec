import { createHash } from "node:crypto";
import type { ImageSettings } from "../config/settings.ts";

/**
 * The digest of what a domain is defined by. It is noted in the domain, so that a later look at the host tells whether
 * the domain is what it should be, also when the state was lost.
 *
 * Values that are only known later (outputs) count as equal: what they stand for is named by the plain values around them.
 */
export function definitionDigest(definition: object): string {
  return digest(JSON.stringify(sorted(definition)));
}

/** What a root disk is asked to be made from: another text or another image of the project's own wants a new root. */
export interface RootRequest {
  rebuild?: string | undefined;
  image?: ImageSettings | undefined;
}

/**
 * The digest of a request for a root disk. A built image counts as the same one when its recipe changes: a new version
 * of this program alone rebuilds nobody's root.
 */
export function rootDigest({ rebuild, image }: RootRequest): string {
  const own = image && (image.kind === "url" ? image.sha512 : image.kind);
  return digest(JSON.stringify({ rebuild, image: own }));
}

/** The same values with their keys in order; functions and outputs, which are no plain values, by a stand-in. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return "known later";
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

const digest = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);
