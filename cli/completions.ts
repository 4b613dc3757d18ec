import type { Command, Option } from "commander";

/** What can be completed beside verbs and options. */
export interface Names {
  stacks: string[];
  projects: string[];
}

/** What the shell scripts call; it is in no help. */
export const completeVerb = "__complete";

/** What an argument of a verb is, by its name in the verb's usage. */
const kinds: Record<string, (names: Names) => string[]> = {
  project: ({ projects }) => projects,
  stack: ({ stacks }) => stacks,
  shell: () => shells,
  from: ({ projects }) => projects.map((name) => `${name}:`),
  to: ({ projects }) => projects.map((name) => `${name}:`),
};

/**
 * What the last of a command line's words may become, by the program's own verbs. Pure.
 *
 * @param words after the program's name, up to the cursor; the last one may be empty
 * @example completionsFor(program, ["ssh", "my"], { stacks: ["local"], projects: ["myapp"] }) // ["myapp"]
 */
export function completionsFor(program: Command, words: string[], names: Names): string[] {
  // Bash takes the `=` of `--stack=local` for a word.
  const before = words.slice(0, -1).filter((word) => word !== "=");
  const current = words.at(-1) === "=" ? "" : (words.at(-1) ?? "");
  // What comes after it is the guest's.
  if (before.includes("--")) return [];
  const { command, given, awaits } = verbIn(program, before);
  if (awaits) return awaits.long === "--stack" ? matching(names.stacks, current) : [];
  const [, stack] = /^--stack=(.*)$/.exec(current) ?? [];
  if (stack !== undefined) return matching(names.stacks, stack).map((name) => `--stack=${name}`);
  if (current.startsWith("-")) return matching(longOptionsOf(program, command), current);
  if (command.commands.length > 0) return matching(verbsOf(command), current);
  const argument = command.registeredArguments[given]?.name() ?? "";
  // It refuses every project of the config, and which disks are kept is known to the host alone.
  if (command.name() === "purge") return [];
  // The name of a project that is to be made is nobody's yet, and that of a snapshot is on its host.
  const kind = argument === "name" && given === 0 && command.name() !== "create" ? "project" : argument;
  return matching(kinds[kind]?.(names) ?? [], current);
}

/** The stack that a command line names, if it does. */
export function stackIn(words: string[]): string | undefined {
  const at = words.findIndex((word) => word === "-s" || word === "--stack");
  if (at >= 0) return words.slice(at + 1).find((word) => word !== "=");
  return words.find((word) => word.startsWith("--stack="))?.slice("--stack=".length);
}

/** Where a command line has come to. */
interface Place {
  /** The innermost verb. */
  command: Command;
  /** How many arguments it has been given. */
  given: number;
  /** The option whose value comes next. */
  awaits: Option | undefined;
}

function verbIn(program: Command, words: string[]): Place {
  const place: Place = { command: program, given: 0, awaits: undefined };
  for (const word of words) {
    const { command, awaits } = place;
    place.awaits = undefined;
    if (awaits) continue;
    if (word.startsWith("-")) {
      const option = optionsOf(program, command).find(({ short, long }) => word === short || word === long);
      place.awaits = option?.required ? option : undefined;
      continue;
    }
    const sub = command.commands.find((one) => [one.name(), ...one.aliases()].includes(word));
    if (sub) place.command = sub;
    else place.given++;
  }
  return place;
}

const verbsOf = (command: Command) =>
  command.commands.flatMap((sub) => [sub.name(), ...sub.aliases()]).filter((name) => name !== completeVerb);

const optionsOf = (program: Command, command: Command) => [
  ...command.options,
  ...(command === program ? [] : program.options),
];

const longOptionsOf = (program: Command, command: Command) => [
  "--help",
  ...optionsOf(program, command).flatMap(({ long }) => long ?? []),
];

const matching = (candidates: string[], start: string) => candidates.filter((one) => one.startsWith(start));

/** The shells that there is a script for. */
export const shells = ["bash", "zsh", "fish"];

/** A shell's script that completes project-vm; undefined: there is none for that shell. */
export const completionScript = (shell: string): string | undefined => scripts[shell];

const scripts: Record<string, string> = {
  bash: `_project_vm() {
  local IFS=$'\\n'
  COMPREPLY=($(project-vm ${completeVerb} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [[ \${COMPREPLY[0]} != *: ]] || compopt -o nospace
}
complete -o default -F _project_vm project-vm
`,
  zsh: `#compdef project-vm
_project_vm() {
  local -a found
  found=("\${(@f)$(project-vm ${completeVerb} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -z $found[1] ]]; then _files
  elif [[ $found[1] == *: ]]; then compadd -S '' -- $found; _files
  else compadd -- $found
  fi
}
compdef _project_vm project-vm
`,
  fish: `complete -c project-vm -n 'not contains -- (commandline -opc)[2] cp export import' -f
complete -c project-vm -a '(project-vm ${completeVerb} -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
};
