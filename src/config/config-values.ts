import { posix } from "node:path";

import { InvalidValue } from "../core/errors.ts";
import { formatSize, parseSize } from "../core/sizes.ts";
import { uriParameters } from "../core/uri-parameters.ts";

/**
 * Readers of single values: each returns the value in the form that the program uses or throws an InvalidValue.
 * They know nothing of where the value stands.
 */

/** A reader of sizes that are at least `minimum` bytes. */
export function sizeFrom(minimum: number): (value: unknown) => number {
  return (value) => {
    const bytes = parseSize(value);
    if (bytes >= minimum) return bytes;
    throw new InvalidValue(`must be at least ${formatSize(minimum)}`, `write \`${formatSize(minimum)}\` or more`);
  };
}

/** A number of virtual CPUs: whole, at least one. */
export function parseCpus(value: unknown): number {
  const remedy = "write a whole number without quotes, e.g. `4`";
  if (typeof value !== "number" || Number.isNaN(value)) throw new InvalidValue("must be a number", remedy);
  if (!Number.isFinite(value)) throw new InvalidValue("must be finite", remedy);
  if (value <= 0) throw new InvalidValue("must be at least 1", remedy);
  if (!Number.isInteger(value)) throw new InvalidValue("must be a whole number", remedy);
  return value;
}

const transports = ["ssh", "libssh", "libssh2", "unix", "tls", "tcp"];
const hostUriExample = "`qemu+ssh://root@storage/system`";

/** What is to be done where a host has no URI. */
export const hostUriRemedy = `write e.g. ${hostUriExample}, or remove \`host\` for the embedded libvirt`;

/** A libvirt URI of a system QEMU, on this machine or another. */
export function parseHostUri(value: unknown): string {
  const url = asUrl(value);
  // URL takes those at its ends away; what is handed on is the text.
  if (url && hasControlCharacter(String(value)))
    throw new InvalidValue("must have no control characters in it", "write it without, e.g. `qemu:///system`");
  if (!url?.href.includes("://")) {
    throw new InvalidValue("must be a libvirt URI", `write e.g. \`qemu:///system\` or ${hostUriExample}`);
  }
  refusePassword(url, "log in with a key: `qemu+ssh://user@host/system`");
  const [driver = "", transport] = url.protocol.slice(0, -1).split("+");
  if (driver !== "qemu") throw new InvalidValue("must be a libvirt URI of QEMU", `write e.g. ${hostUriExample}`);
  if (transport !== undefined && !transports.includes(transport)) {
    throw new InvalidValue(`must have one of the transports ${transports.join(", ")}`, `write e.g. ${hostUriExample}`);
  }
  if (url.pathname !== "/system") {
    const rule = "must end in /system: a session of a single user cannot own networks";
    throw new InvalidValue(rule, `write e.g. ${hostUriExample}`);
  }
  // Errors name commands to be typed, with the URI in quotes of a shell.
  if (String(value).includes("'")) throw new InvalidValue("must have no quote (') in it", "write `%27` for it");
  refuseOddParameters(url);
  if (url.host === "" && transport !== undefined && transport !== "unix") {
    throw new InvalidValue(`must name a host for the transport ${transport}`, `write e.g. ${hostUriExample}`);
  }
  if (url.host !== "") loginIn(url);
  return String(value);
}

/**
 * Whom and where a libvirt URI logs in to. Both become words of a shell's command: none may be an option, or hold what a shell reads.
 *
 * @example loginIn(new URL("qemu+ssh://root@storage/system")) // "root@storage"
 */
export function loginIn({ hostname, username }: URL): string {
  const user = decoded(username);
  const isUser = user === "" || /^[\w][\w.+@-]*$/.test(user);
  if (isUser && /^(\w[\w.-]*|\[[\da-fA-F:.]+\])$/.test(hostname)) return user ? `${user}@${hostname}` : hostname;
  throw new InvalidValue(
    "must name a user and a host of letters, digits and any of `.-_`",
    "name them otherwise: give the host a name of its own in ~/.ssh/config, and use that",
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * What stands behind the `?` gets into files and commands on the host, decoded: a line break would begin a line of its own there. Of
 * two values of one parameter libvirt takes the last, and others the first; it takes a `;` for an `&`, and names in any case.
 */
function refuseOddParameters(uri: URL): void {
  const parameters = uriParameters(uri);
  const keys = [...parameters.keys()];
  if (uri.search.includes(";"))
    throw new InvalidValue("must have `&` between its parameters, not `;`", "write `&`; `%3B` for a `;` in a value");
  const odd = keys.find((key) => key !== key.toLowerCase());
  if (odd !== undefined)
    throw new InvalidValue(`must have its parameter ${odd} in small letters`, `write \`${odd.toLowerCase()}\``);
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined)
    throw new InvalidValue(`must have the parameter ${twice} once`, "remove all but one of them");
  if ([...parameters].flat().some(hasControlCharacter))
    throw new InvalidValue("must have no control characters (%00 to %1F, %7F) in its parameters", "write them without");
}

/** Folders whose own folders are the system's, or its users', by names that a project can have: `/usr/bin`, `/home/alice`. */
const systemFolders = /^\/(bin|boot|dev|etc|home|lib\w*|proc|root|run|sbin|sys|tmp|usr|var)$/;

/** An absolute folder on the host, below the root, without `.` and `..`. */
export function parseStorageDir(value: unknown): string {
  if (typeof value !== "string" || !value.startsWith("/") || hasControlCharacter(value)) {
    throw new InvalidValue("must be an absolute path", "write the path on the host, e.g. `/var/lib/project-vms`");
  }
  const path = posix.normalize(value).replace(/\/+$/, "");
  if (path === "") throw new InvalidValue("must not be the root itself", "write a folder, e.g. `/var/lib/project-vms`");
  if (value.split("/").some((step) => step === "." || step === "..")) {
    throw new InvalidValue("must not go by `.` or `..`", `write \`${path}\``);
  }
  if (systemFolders.test(path)) {
    const rule = "must be a folder for VMs, not one of the system's own";
    throw new InvalidValue(rule, "write e.g. `/var/lib/project-vms`");
  }
  return path;
}

/** The name of a libvirt network that is there: libvirt takes all but `/` and control characters in it. */
export function parseExistingNetworkName(value: unknown): string {
  const isName = typeof value === "string" && value.trim() === value && /^[^-/][^/]*$/.test(value);
  if (isName && !hasControlCharacter(value)) return value;
  throw new InvalidValue(
    "must be the name of a libvirt network, without `/`, a `-` at its beginning and blanks at its ends",
    networkRemedy,
  );
}

const networkRemedy = "write e.g. `default` for a network that is there, or `{name: …, cidr: …}` for one of our own";

/** The name of a libvirt network of our own. */
export function parseNetworkName(value: unknown): string {
  if (typeof value === "string" && /^[\w][\w.-]*$/.test(value)) return value;
  const rule = "must be the name of a libvirt network: letters, digits, `-`, `_` and `.`";
  throw new InvalidValue(rule, networkRemedy);
}

/** What a root disk is rebuilt for: any text; a number will do, since YAML reads `2026` as one. */
export function parseRebuild(value: unknown): string {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text === "string" && text.trim() !== "" && !hasControlCharacter(text)) return text;
  throw new InvalidValue("must be a text on one line", "write any that was not there before, e.g. `2026-11-21`");
}

/** An image URL as it might be written. */
export const imageUrlExample = "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-generic-amd64.qcow2";

/** Where an image comes from: https, http (the digest guards it) or a file on this machine. */
export function parseImageUrl(value: unknown): string {
  if (value === undefined) throw new InvalidValue("is missing", `write e.g. \`${imageUrlExample}\``);
  const url = asUrl(value);
  if (!url || !["https:", "http:", "file:"].includes(url.protocol)) {
    const remedy = `write e.g. \`${imageUrlExample}\`; https, http and file will do`;
    throw new InvalidValue("must be the URL of a qcow2 image", remedy);
  }
  refusePassword(url, "download the image and name it as `file:///…`, or serve it without a password");
  return String(value);
}

/** A SHA-512 digest, in lower case. */
export function parseSha512(value: unknown): string {
  const remedy = "copy the image's line of the SHA512SUMS that is published beside it";
  if (value === undefined) throw new InvalidValue("is missing: an image without digest is not used", remedy);
  if (typeof value === "string" && /^[0-9a-f]{128}$/i.test(value)) return value.toLowerCase();
  const digits = typeof value === "string" && /^[0-9a-f]+$/i.test(value) ? value.length : undefined;
  const found = digits === 64 ? " (64 digits are a SHA-256)" : digits ? ` (these are ${digits})` : "";
  throw new InvalidValue(`must be a SHA-512: 128 hexadecimal digits${found}`, remedy);
}

function asUrl(value: unknown): URL | undefined {
  if (typeof value !== "string" || /\s/.test(value) || !URL.canParse(value)) return undefined;
  return new URL(value);
}

function refusePassword(url: URL, remedy: string): void {
  if (url.password !== "") throw new InvalidValue("must not hold a password (value not shown)", remedy, true);
}

function hasControlCharacter(text: string): boolean {
  return [...text].some((character) => character < " " || character === "\x7f");
}
