import { InvalidArgumentError } from "commander";
import { parseCpus } from "../src/config/config-values.ts";
import { InvalidValue } from "../src/core/errors.ts";
import { readSize } from "../src/core/sizes.ts";

/**
 * Readers of what is given on the command line, into what is written in a stack's file. What cannot be is misuse:
 * commander says which argument it was.
 */

/** A size with its unit: `100G` is written as `100 GiB`. */
export const sizeArgument = misuse(sizeText);

/** As {@link sizeArgument}; a number without a unit is MiB, as it always was. */
export const memoryArgument = misuse((text) => sizeText(/^\d+$/.test(text) ? `${text} MiB` : text));

/** A whole number of CPUs. */
export const cpusArgument = misuse((text) => parseCpus(Number(text)));

function sizeText(text: string): string {
  return readSize(text).readAs ?? text;
}

function misuse<T>(read: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      throw new InvalidArgumentError(`It ${error.rule}: ${error.remedy}.`);
    }
  };
}

/** Only what was given. */
export function given<T extends object>(settings: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as never;
}
