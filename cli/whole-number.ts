import { InvalidArgumentError } from "commander";

/** Reads an option's whole number, at least one; commander says which option it was. */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1) throw new InvalidArgumentError("It must be a whole number, at least 1.");
  return number;
}
