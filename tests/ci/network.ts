import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { namesIn } from "./files.ts";
import type { Things } from "./things.ts";

/** What lists the rules of the firewall, without counters where it can. None of them changes anything. */
const listings = [["nft", "--stateless", "list", "ruleset"], ["iptables-save"], ["ip6tables-save"]];

/** The rules of this machine's firewall, as text; none where the user may not see them or no such program is there. */
export function firewallRules(): Things {
  return Object.fromEntries(
    listings.flatMap(([program = "", ...args]) =>
      parseRules(outputOf(program, args)).map((rule) => [`${program}: ${rule}`, ""]),
    ),
  );
}

/** Rules of Docker's, which come and go with its containers, and all that is in its chains. */
const isDockers = (rule: string) => /docker|\b(br-[0-9a-f]{12}|veth[0-9a-f]{7})\b/i.test(rule);

/** The rules in a listing, each with the table and the chain it is in; the second of two that are alike has a number. Pure. */
export function parseRules(listing: string): string[] {
  const above: string[] = [];
  const seen = new Map<string, number>();
  let isInElements = false;
  return listing.split("\n").flatMap((line) => {
    const text = line.trim().replace(/ \[\d+:\d+\]$/, "");
    // Daemons fill the elements of sets; the brace that ends them may be lines below.
    if (isInElements || text.startsWith("elements =")) {
      isInElements = !text.endsWith("}");
      return [];
    }
    if (text === "}") above.pop();
    if (/^(|\}|#.*|COMMIT)$/.test(text)) return [];
    // iptables-save begins a table with *; it ends where the next one begins.
    if (text.startsWith("*")) above.length = 0;
    const rule = [...above, text.replace(/ \{$/, "")].join(" > ");
    if (text.endsWith("{") || text.startsWith("*")) above.push(text.replace(/ \{$/, ""));
    if (isDockers(rule)) return [];
    const count = (seen.get(rule) ?? 0) + 1;
    seen.set(rule, count);
    return [count === 1 ? rule : `${rule} (${count})`];
  });
}

/** Where the kernel's settings of the network are; those of one interface come and go with it. */
const settings = ["ipv4", "ipv4/conf/all", "ipv4/conf/default", "ipv6", "ipv6/conf/all", "ipv6/conf/default"];

/** What the kernel has loaded by itself, no setting. */
const loaded = /^tcp_(available|allowed)_/;

/** The kernel's settings of the network, with their values. */
export function networkSettings(root = "/proc/sys/net"): Things {
  return Object.fromEntries(
    settings.flatMap((folder) =>
      namesIn(path.join(root, folder)).flatMap((name) => {
        if (loaded.test(name)) return [];
        try {
          return [[`net/${folder}/${name}`, readFileSync(path.join(root, folder, name), "utf8").trim()]];
        } catch {
          return []; // a folder, or one that is only written to
        }
      }),
    ),
  );
}

function outputOf(program: string, args: string[]): string {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  try {
    return execFileSync(program, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return "";
  }
}
