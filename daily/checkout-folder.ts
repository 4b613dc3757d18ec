import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** The stack that verbs work on where none was ever named. */
const firstStack = "local";

/** The nearest folder, from this one upwards, that has a Pulumi.yaml; undefined: there is none. */
export function checkoutOf(folder: string): string | undefined {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    if (existsSync(path.join(at, "Pulumi.yaml"))) return at;
    if (at === path.dirname(at)) return undefined;
  }
}

/** The stacks that a checkout has files for, in order. */
export function stacksIn(checkout: string): string[] {
  return readdirSync(checkout)
    .flatMap((entry) => /^Pulumi\.(.+)\.yaml$/.exec(entry)?.[1] ?? [])
    .sort();
}

/** The stack that verbs work on in a folder, as it was last set by {@link rememberStack}. */
export function rememberedStack(folder: string): string {
  const checkout = checkoutOf(folder);
  if (!checkout) return firstStack;
  try {
    return readFileSync(memoryOf(checkout), "utf8").trim() || firstStack;
  } catch {
    return firstStack; // nobody has chosen one
  }
}

/** Makes a stack the one that verbs work on in a checkout. */
export function rememberStack(checkout: string, stack: string): void {
  const file = memoryOf(checkout);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${stack}\n`);
}

const memoryOf = (checkout: string) => path.join(checkout, ".local", "stack");
