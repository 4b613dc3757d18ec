/** What there is of a kind: names, each with a mark that differs after a change; without one only its being there counts. */
export type Things = Record<string, string>;

/** One thing that one look found and another did not, or found to be another. */
export interface Difference {
  kind: string;
  word: "left" | "changed" | "removed" | "in use";
  name: string;
}
