import {
  containsUnknown,
  isSecret,
  isUnknown,
  type Properties,
  reveal,
  secret,
  unknownString,
  type Value,
} from "../command/values.ts";
import type { Key, KeyRequest, TailscaleClient } from "./client.ts";
import { rfc3339 } from "./times.ts";

/** What a key has where the program says nothing. What is not in here is then the API's to choose. */
const defaults = { description: "", ephemeral: false, preauthorized: false, reusable: false, tags: [] as string[] };

/** A change of one of these makes a new key; a change of another input is taken over by the key that is there. */
const replacing = ["description", "ephemeral", "expiry", "preauthorized", "reusable", "tags"];
const updating = ["recreateIfInvalid", "userId"];

/** What only the API knows. */
const computed = ["createdAt", "expiresAt", "expiry", "id", "invalid", "key", "userId"];

/** What differs between a key and what the program wants, by property. */
export interface KeyDifference {
  changed: string[];
  /** Those of them for which a new key has to be made. */
  replaces: string[];
}

/**
 * The resource `tailscale:index/tailnetKey:TailnetKey`: the steps of its life, and the state that comes of each. The official plugin
 * looks for a key by the `id` among its outputs, beside the engine's own: without one it finds none, and revokes none.
 */
export class TailnetKeyResource {
  private readonly client: TailscaleClient;

  constructor(client: TailscaleClient) {
    this.client = client;
  }

  async create(inputs: Properties): Promise<{ id: string; state: Properties }> {
    const key = await withContext("Failed to create key: Error creating tailnet key", () =>
      this.client.createKey(keyRequest(inputs)),
    );
    const state = {
      expiry: key.expirySeconds ?? 0,
      ...wanted(inputs),
      id: key.id,
      ...facts(key),
      key: secret(key.key ?? ""),
    };
    return { id: key.id, state };
  }

  /**
   * Looks at the key again. One that the API does not know any more stays in the state, as invalid: a used key is
   * history.
   *
   * @param state empty when a key is imported; the key itself is then unknown for ever
   * @returns undefined if there is no such key to import
   */
  async read(id: string, state: Properties): Promise<Properties | undefined> {
    const key = await this.fetch(id);
    if (key === undefined) return Object.keys(state).length > 0 ? { ...hidden(state), id, invalid: true } : undefined;
    const { reusable = false, ephemeral = false, preauthorized = false, tags } = key.capabilities.devices.create;
    const seen = {
      ...{ reusable, ephemeral, preauthorized, tags: tags ?? [] },
      description: key.description ?? "",
      expiry: key.expirySeconds ?? 0,
      ...facts(key),
    };
    const entries = Object.entries(seen).map(([name, value]) => [name, asBefore(state[name], value)]);
    return { ...hidden(state), id, ...Object.fromEntries(entries) };
  }

  /** Takes over what needs no new key. */
  async update(id: string, olds: Properties, news: Properties): Promise<Properties> {
    const key = await this.fetch(id);
    return { ...plannedState(olds, news), id, ...(key === undefined ? { invalid: true } : facts(key)) };
  }

  async delete(id: string): Promise<void> {
    const context = `Failed to delete key: Error deleting tailnet key with id "${id}"`;
    await withContext(context, () => this.client.deleteKey(id));
  }

  private async fetch(id: string): Promise<Key | undefined> {
    const context = `Failed to fetch key: Error reading tailnet key with id "${id}"`;
    const key = await withContext(context, () => this.client.getKey(id));
    if (key !== undefined && key.keyType !== "auth") {
      throw new Error(`Invalid key type '${key.keyType ?? ""}': Only 'auth' keys are supported by this resource`);
    }
    return key;
  }
}

/** The state after a creation, as far as a preview can tell. */
export function previewCreate(inputs: Properties): Properties {
  const unknowns = Object.fromEntries(computed.map((name) => [name, unknownString]));
  return { ...unknowns, ...wanted(inputs), key: secret(unknownString) };
}

/** The state after an update, as far as a preview can tell. */
export function plannedState(olds: Properties, news: Properties): Properties {
  const kept = Object.fromEntries(computed.filter((name) => name in olds).map((name) => [name, olds[name] ?? null]));
  return { ...hidden(kept), ...wanted(news) };
}

/** The key is secret, also where a state has it from elsewhere; an imported one has none. */
function hidden(state: Properties): Properties {
  return state.key === undefined ? state : { ...state, key: secret(state.key) };
}

/**
 * What differs between a key and what the program wants of it. An invalid key is to be replaced (because of its `id`)
 * if it is to be recreated: `recreateIfInvalid` decides; where that is silent, a reusable key is, a single-use key is not.
 */
export function diffKey(state: Properties, news: Properties): KeyDifference {
  const [have, want] = [wanted(state), wanted(news)];
  const changed = [...replacing, ...updating].filter((name) => {
    // What the API chose for want of a word in the program is no difference.
    if (!(name in want) && computed.includes(name)) return false;
    return containsUnknown(want[name]) || !sameValue(have[name], want[name]);
  });
  const replaces = changed.filter((name) => replacing.includes(name));
  if (reveal(state.invalid ?? false) === true && isRecreated(want)) {
    changed.push("id");
    replaces.push("id");
  }
  return { changed, replaces };
}

function isRecreated(want: Properties): boolean {
  const policy = reveal(want.recreateIfInvalid ?? "");
  if (policy === "always" || policy === "never") return policy === "always";
  return reveal(want.reusable ?? false) === true;
}

/** The inputs that an imported key would have been made with: what it has beyond the defaults. */
export function importedInputs(state: Properties): Properties {
  const own = Object.entries(defaults).filter(([name, value]) => !sameValue(state[name], value));
  return Object.fromEntries([...own.map(([name]) => name), "expiry"].map((name) => [name, state[name] ?? null]));
}

/** The inputs of a refreshed key: those that the program had given, as they are now. */
export function refreshedInputs(inputs: Properties, state: Properties): Properties {
  return Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, state[name] ?? value]));
}

function wanted(inputs: Properties): Properties {
  return { ...defaults, ...inputs };
}

/** `checkKey` has seen to it that the values are what the cast says. */
function keyRequest(inputs: Properties): KeyRequest {
  const plain = reveal(wanted(inputs)) as typeof defaults & { expiry?: number };
  const { reusable, ephemeral, preauthorized, tags, description, expiry = 0 } = plain;
  const create = { reusable, ephemeral, preauthorized, tags };
  return { capabilities: { devices: { create } }, expirySeconds: expiry, description };
}

function facts(key: Key): Properties {
  return {
    createdAt: rfc3339(key.created),
    expiresAt: rfc3339(key.expires),
    invalid: key.invalid ?? false,
    userId: key.userId ?? "",
  };
}

/** The old value where nothing has changed, and what was secret stays secret. */
function asBefore(old: Value | undefined, value: Value): Value {
  if (old !== undefined && sameValue(old, value)) return old;
  return isSecret(old) ? secret(value) : value;
}

/** Lists are sets here: their order and doubles mean nothing. */
function sameValue(left: Value | undefined, right: Value | undefined): boolean {
  const [one, other] = [left ?? null, right ?? null].map(reveal);
  if (Array.isArray(one) && Array.isArray(other)) {
    return JSON.stringify([...new Set(one)].sort()) === JSON.stringify([...new Set(other)].sort());
  }
  return one === other && !isUnknown(one);
}

async function withContext<Result>(context: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    throw new Error(`${context}: ${(error as Error).message}`);
  }
}
