/** What there is of a kind: names, each with a mark that differs after a change; without one only its being there counts. */
export type Things = Record<string, string>;
