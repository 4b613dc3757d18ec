import { z } from "zod";
import { withoutGivenSecrets } from "../core/given-secrets.ts";
import { type GuestText, guestText, type HostKey, isHostKey, isKeyType, isKnownKeyType } from "../core/guest-values.ts";
import { GuestRefusal } from "./guest-refusal.ts";

/**
 * The shapes of all that is asked of a guest. An answer that does not fit is refused as a whole; of one that fits nothing is
 * kept but what stands here.
 */

/** The most characters of an answer: libvirt itself takes no more than 10 MiB from an agent. */
export const longestAnswer = 12 * 1024 * 1024;

/** The most bytes of what a program in a guest writes that are kept, where nobody has asked for its output as such. */
export const longestOutput = 1024 * 1024;

const text = (most: number) => z.string("must be a text").max(most, `must have at most ${most} characters`);

const whole = (least: number, most: number) => {
  const rule = `must be a whole number from ${least} to ${most}`;
  return z.int(rule).min(least, rule).max(most, rule);
};

const base64 = text(longestAnswer).refine(
  (value) => value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value),
  "must be base64",
);

/** `guest-ping`, and all else of which only that there was an answer counts. */
export const anyAnswer = z.unknown();

/** `guest-exec`. */
export const startedAnswer = z.object({ pid: whole(0, 2 ** 31 - 1) }, "must be a map");

/** `guest-exec-status`. */
export const statusAnswer = z.object(
  {
    exited: z.boolean("must be true or false"),
    exitcode: whole(0, 255).optional(),
    signal: whole(1, 64).optional(),
    "out-data": base64.optional(),
    "err-data": base64.optional(),
  },
  "must be a map",
);

/** `guest-network-get-interfaces`. What is not of the VM's own interface is Docker's and the like, and not looked at. */
export const interfacesAnswer = z
  .array(
    z.object(
      {
        "hardware-address": text(64).optional(),
        "ip-addresses": z
          .array(z.object({ "ip-address": text(64) }, "must be a map"), "must be a list")
          .max(256, "must have at most 256 entries")
          .optional(),
      },
      "must be a map",
    ),
    "must be a list",
  )
  .max(4096, "must have at most 4096 entries");

const messages = z.array(text(100_000), "must be a list").max(1000, "must have at most 1000 entries");

/** What `cloud-init status --format json` prints. */
export const cloudInitAnswer = z.object(
  {
    status: text(100),
    errors: messages.optional(),
    recoverable_errors: z.record(text(100), messages, "must be a map").optional(),
  },
  "must be a map",
);

/** What `tailscale status --json` prints, as far as it is used here. */
export const tailscaleAnswer = z.object(
  {
    Self: z.object(
      {
        ID: text(100),
        PublicKey: text(100),
        DNSName: text(300),
        TailscaleIPs: z.array(text(64), "must be a list").max(8, "must have at most 8 entries").nullish(),
        Tags: z.array(text(64), "must be a list").max(32, "must have at most 32 entries").nullish(),
      },
      "must be a map",
    ),
  },
  "must be a map",
);

/** The same of one that may be logged out, and so be nobody. */
export const tailscaleState = z.object({ BackendState: text(40) }, "must be a map");

/** Whose answer to what it is, for the refusal. */
export interface Asked {
  /** The domain's name. */
  guest: string;
  /** @example "guest-exec-status" */
  question: string;
}

/**
 * Reads an answer that is JSON.
 *
 * @throws GuestRefusal for what is no JSON, or does not fit
 */
export function readJson<Schema extends z.ZodType>(schema: Schema, answer: string, asked: Asked): z.infer<Schema> {
  if (answer.length > longestAnswer)
    throw new GuestRefusal(asked.guest, asked.question, `must have at most ${longestAnswer} characters`, answer);
  return fitting(schema, parsed(answer, asked), asked);
}

/**
 * Reads what `virsh qemu-agent-command` prints.
 *
 * @throws GuestRefusal for what is no answer of an agent, or does not fit
 */
export function readAgentAnswer<Schema extends z.ZodType>(
  schema: Schema,
  answer: string,
  asked: Asked,
): z.infer<Schema> {
  const whole = readJson(z.object({ return: z.unknown() }, "must be a map"), answer, asked);
  return fitting(schema, whole.return, asked);
}

/**
 * Deeply nested JSON overruns the stack: an error like any other that a guest's answer makes. What was handed to a guest is looked for
 * again in what JSON's escapes had hidden it in.
 */
function parsed(answer: string, { guest, question }: Asked): unknown {
  try {
    return JSON.parse(answer, (_, value) => withoutKeys(value));
  } catch {
    throw new GuestRefusal(guest, question, "must be JSON", answer);
  }
}

function withoutKeys(value: unknown): unknown {
  if (typeof value === "string") return withoutGivenSecrets(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [withoutGivenSecrets(name), one]));
}

/** @throws GuestRefusal for a value that does not fit */
export function fitting<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  { guest, question }: Asked,
): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [{ path, message } = { path: [], message: "must be another" }] = result.error.issues;
  const field = [question, ...path.map(ownKey)].join(" ");
  throw new GuestRefusal(guest, field, message, valueAt(value, path));
}

/** A key that a guest may have made up is not repeated. */
const ownKey = (key: PropertyKey) => (/^[\w-]{1,30}$/.test(String(key)) ? String(key) : "(a key)");

function valueAt(value: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

/** A guest has one key of each type. */
const mostKeys = 16;

/**
 * The public host keys in what a guest's `cat` of them printed. Types that are not known here are passed over: a newer SSH may
 * have more.
 *
 * @throws GuestRefusal for what is no key, for too many, and for none
 */
export function hostKeysIn(printed: string, guest: string): HostKey[] {
  const refuse = (rule: string, value?: string): never => {
    throw new GuestRefusal(guest, "SSH host keys", rule, value);
  };
  const lines = printed.split("\n").filter((line) => line.trim() !== "");
  if (lines.length > mostKeys) refuse(`must be at most ${mostKeys}`, printed);
  const keys = lines.flatMap((line): HostKey[] => {
    // The comment names the machine, which nobody needs.
    const [type = "", base64 = ""] = line.split(" ");
    const key = `${type} ${base64}`;
    if (isHostKey(key)) return [key];
    return isKeyType(type) && !isKnownKeyType(type) ? [] : refuse("must be a public key as SSH writes it", line);
  });
  return keys.length > 0 ? keys : refuse("must hold one of a type that is known here", printed);
}

/**
 * What cloud-init's own report says went wrong; empty when it finished well. Deprecations and the like are no errors.
 *
 * @throws GuestRefusal for what is no such report
 */
export function cloudInitProblems(json: string, guest: string): GuestText[] {
  const report = readJson(cloudInitAnswer, json, { guest, question: "cloud-init status" });
  const errors = [...(report.errors ?? []), ...(report.recoverable_errors?.ERROR ?? [])].map((error) =>
    guestText(error),
  );
  if (report.status === "disabled") return [guestText("cloud-init is disabled: it found no seed")];
  if (report.status !== "done" && errors.length === 0) return [guestText(`cloud-init's status is ${report.status}`)];
  return errors.slice(0, 10);
}
