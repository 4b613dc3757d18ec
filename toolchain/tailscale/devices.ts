import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Properties, reveal, type Value, withoutNulls } from "../command/values.ts";
import type { Device, TailscaleClient } from "./client.ts";
import { checkKinds, deviceKinds, devicesKinds, type Failure } from "./inputs.ts";
import { parseDuration, rfc3339 } from "./times.ts";

/** The answer to an invoke: its result, or the mistakes in its arguments. */
export type Answer = { result: Properties; failures?: undefined } | { result?: undefined; failures: Failure[] };

/** Between two looks for a device that is not there yet, in milliseconds. */
const defaultInterval = 1000;

/**
 * `getDevice`: the device of a name or a hostname.
 *
 * @param interval between two looks, in milliseconds
 * @throws Error if there is none, or none within `waitFor`
 */
export async function getDevice(
  client: TailscaleClient,
  args: Properties,
  interval = defaultInterval,
): Promise<Answer> {
  const given = reveal(withoutNulls(args)) as Record<string, string>;
  const failures = [...checkKinds(given, deviceKinds), ...checkDeviceRules(given)];
  if (failures.length > 0) return { failures };
  const by = given.hostname === undefined ? "name" : "hostname";
  const wanted = given[by] ?? "";
  const end = performance.now() + (parseDuration(given.waitFor ?? "0s") ?? 0);
  for (;;) {
    try {
      const [found] = await client.devices([[by, wanted]]);
      if (found === undefined) throw new Error(`could not find device with ${by}=${JSON.stringify(wanted)}`);
      return { result: { ...describeDevice(found), ...(given.waitFor ? { waitFor: given.waitFor } : {}) } };
    } catch (error) {
      const waited = given.waitFor ? `failed after maximum of retries within ${given.waitFor}: ` : "";
      if (performance.now() + interval > end)
        throw new Error(`Failed to fetch devices: ${waited}${(error as Error).message}`);
    }
    await sleep(interval);
  }
}

/** `getDevices`: all devices, or those that fit the filters and the beginning of a name. */
export async function getDevices(client: TailscaleClient, args: Properties): Promise<Answer> {
  const given = reveal(withoutNulls(args)) as Properties & { filters?: { name: string; values: string[] }[] };
  const failures = checkKinds(given, devicesKinds);
  if (failures.length > 0) return { failures };
  const filters = (given.filters ?? []).flatMap(({ name, values }) =>
    values.map((value): [name: string, value: string] => [name, value]),
  );
  const prefix = String(given.namePrefix ?? "");
  const found = await client.devices(filters).catch((error: Error) => {
    throw new Error(`Failed to fetch devices: ${error.message}`);
  });
  const devices = found.filter(({ name }) => String(name ?? "").startsWith(prefix)).map(describeDevice);
  return { result: { ...given, id: randomUUID(), devices } };
}

function checkDeviceRules(given: Record<string, unknown>): Failure[] {
  const failures: Failure[] = [];
  if ((given.name === undefined) === (given.hostname === undefined)) {
    const reason = "Invalid Attribute Combination. Exactly one of these attributes must be configured: [name,hostname]";
    failures.push({ property: "name", reason });
  }
  if (typeof given.waitFor === "string") {
    const duration = parseDuration(given.waitFor);
    const problem = duration === undefined ? "not a duration" : "wait_for must be greater than 1 second";
    if (duration === undefined || duration <= 1000) {
      failures.push({ property: "waitFor", reason: `failed to parse wait_for. ${problem}` });
    }
  }
  return failures;
}

const texts = [
  ...["clientVersion", "hostname", "id", "machineKey", "name", "nodeId", "nodeKey"],
  ...["os", "tailnetLockError", "tailnetLockKey", "user"],
];
const truths = ["authorized", "blocksIncomingConnections", "isExternal", "keyExpiryDisabled", "updateAvailable"];

/** The names of a device's properties, in the schema's terms. */
export const deviceProperties = {
  texts,
  truths,
  lists: ["addresses", "tags"],
  times: ["created", "expires", "lastSeen"],
};

function describeDevice(device: Device): Properties {
  const pick = (names: string[], value: (found: unknown) => Value) =>
    Object.fromEntries(names.map((name) => [name, value(device[name])]));
  return {
    ...pick(texts, (found) => (typeof found === "string" ? found : "")),
    ...pick(truths, (found) => found === true),
    ...pick(deviceProperties.lists, (found) => (Array.isArray(found) ? found : [])),
    ...pick(["created", "expires"], rfc3339),
    // The API leaves it out while the device is connected.
    lastSeen: device.lastSeen === undefined ? "" : rfc3339(device.lastSeen),
  };
}
