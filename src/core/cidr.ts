import { InvalidValue } from "./errors.ts";

/** An IPv4 network; `first` and `last` are its lowest and highest address as 32-bit numbers. */
export interface Cidr {
  /** Its own address. @example "10.77.0.0" */
  address: string;
  prefix: number;
  first: number;
  last: number;
}

/**
 * Reads an IPv4 network such as `10.77.0.0/24`.
 *
 * @throws InvalidValue when it is malformed, has bits set behind its prefix, or is too large or too small for guests
 */
export function parseCidr(value: unknown): Cidr {
  const cidr = networkOf(value);
  if (!cidr) throw new InvalidValue("must be an IPv4 network", "write address and prefix, e.g. `10.77.0.0/24`");
  const { address, prefix } = cidr;
  if (prefix < 8 || prefix > 29) {
    throw new InvalidValue("must have a prefix from /8 to /29", "write e.g. `10.77.0.0/24`: room for 253 VMs");
  }
  const own = `${address}/${prefix}`;
  if (value !== own) throw new InvalidValue("must be the network's own address", `write \`${own}\``);
  return cidr;
}

/** The network that an address with prefix lies in (`192.168.122.1/24` counts too); undefined for what is none. */
export function networkOf(value: unknown): Cidr | undefined {
  const match = typeof value === "string" && /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(value);
  if (!match) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, prefix = 0] = match.slice(1).map(Number);
  if (Math.max(a, b, c, d) > 255 || prefix > 32) return undefined;
  const number = ((a * 256 + b) * 256 + c) * 256 + d;
  const size = 2 ** (32 - prefix);
  const first = number - (number % size);
  return { address: formatAddress(first), prefix, first, last: first + size - 1 };
}

/** Whether two networks have an address in common. */
export function overlaps(one: Cidr, other: Cidr): boolean {
  return one.first <= other.last && other.first <= one.last;
}

/** @example formatAddress(0x0a4d0001) // "10.77.0.1" */
export function formatAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
}
