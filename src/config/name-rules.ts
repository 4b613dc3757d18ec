import { InvalidValue } from "../core/errors.ts";
import { hostName, longestName, macAddress, namePattern, poolName, reservedNames } from "../core/names.ts";

/**
 * The projects whose names cannot be used, each with the reason.
 *
 * A name becomes a host name, a folder and the name of a libvirt domain and pool: so it is a DNS label in lower case,
 * short enough that `project-<name>` is one too.
 */
export function invalidNames(names: string[]): Map<string, InvalidValue> {
  const invalid = new Map<string, InvalidValue>();
  for (const [index, name] of names.entries()) {
    const reason =
      caseTwin(name, names, index) ?? malformed(name) ?? reserved(name) ?? macTwin(name, names.slice(0, index));
    if (reason) invalid.set(name, reason);
  }
  return invalid;
}

function caseTwin(name: string, names: string[], index: number): InvalidValue | undefined {
  const lower = name.toLowerCase();
  // The one in lower case is right wherever it stands; of several others the first is.
  if (name === lower) return undefined;
  const isTwin = (other: string, at: number) => other.toLowerCase() === lower && (at < index || other === lower);
  const twin = names.find((other, at) => at !== index && isTwin(other, at));
  if (twin === undefined) return undefined;
  return new InvalidValue(
    `differs from \`${twin}\` only in upper and lower case: both would have the host name \`${hostName(lower)}\``,
    "give one of them another name",
  );
}

function malformed(name: string): InvalidValue | undefined {
  if (name.length > longestName) {
    return new InvalidValue(
      `is ${name.length} characters long, at most ${longestName} fit: domain and host name \`${poolName("<name>")}\` have a limit of 63`,
      "choose a shorter name",
    );
  }
  if (new RegExp(namePattern).test(name)) return undefined;
  const suggestion = asLabel(name);
  return new InvalidValue(
    "is not a DNS label: only a-z, 0-9 and `-`, no `-` at either end",
    suggestion ? `write \`${suggestion}\`` : "choose another name, e.g. `myapp`",
  );
}

function reserved(name: string): InvalidValue | undefined {
  if (!reservedNames.includes(name)) return undefined;
  return new InvalidValue("is taken: base images or backups are kept under that name", "choose another name");
}

function macTwin(name: string, earlier: string[]): InvalidValue | undefined {
  const twin = earlier.find((other) => macAddress(other) === macAddress(name));
  if (twin === undefined) return undefined;
  return new InvalidValue(`has by chance the MAC address of \`${twin}\` (${macAddress(name)})`, "choose another name");
}

function asLabel(name: string): string {
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const label = plain.replace(/[^a-z0-9]+/g, "-");
  return label.slice(0, longestName).replace(/^-+|-+$/g, "");
}
