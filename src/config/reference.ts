import { mkdirSync, writeFileSync } from "node:fs";
import { longestName } from "../core/names.ts";
import { configSchema, type JsonSchema } from "./json-schema.ts";
import { type FieldDocs, vmKeys } from "./schema.ts";

/** A key of the config with all that the reference says of it. */
export interface ReferenceKey {
  /** @example ["host", "network", "cidr"] */
  path: string[];
  docs: FieldDocs;
  default: unknown;
  required: boolean;
}

/** All keys of the config, in the schema's order; a project has those of `defaults` and a few of its own. */
export function referenceKeys(): ReferenceKey[] {
  return keysBelow(
    configSchema((docs) => ({ docs })),
    [],
  );
}

/** A whole stack file that shows every kind of key; a test reads it. */
export const exampleFile = `\
config:
  project-vms:host:
    uri: qemu+ssh://root@storage/system
    storageDir: /srv/project-vms
    network: default
  project-vms:sshKeys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@laptop
  project-vms:defaults:
    memory: 4 GiB
  project-vms:projects:
    myapp: {}
    webapp: {memory: 16 GiB, cpus: 8, disk: 100 GiB, rootDisk: 40 GiB, autostart: true}
`;

/** The reference of the config, as Markdown. */
export function referenceText(): string {
  return [intro, ...referenceKeys().map(section)].join("\n");
}

/** Where it is kept. */
export const referenceFile = new URL("../../docs/config.md", import.meta.url);

const intro = `\
# The config of a stack

<!-- Generated from src/config/schema.ts by \`npm run generate\`: edit there. -->

All of it stands in \`Pulumi.<stack>.yaml\`, one file for each host. No key is required: one with \`config:\` and, indented, \`project-vms:projects: {}\`
is valid, takes this machine's embedded libvirt as its host, and makes no VM. A file that is empty is refused: an engine that is killed while
it writes the file leaves it so. So is one with nothing but \`encryptionsalt\`, which the engine writes into it then, while the stack has VMs.
And so is, while it has some, one with nothing behind \`project-vms:projects:\`: to have none is written \`project-vms:projects: {}\`.

\`\`\`yaml
${exampleFile}\`\`\`

- **Sizes** are a number and a unit, \`MiB\`, \`GiB\` or \`TiB\`, in steps of 1024, a whole number of MiB in all. A bare number is refused,
  and so is \`GB\`, which means two things; \`50G\` is read as \`50 GiB\`, and the update says so.
- **Names of projects** are DNS labels: \`a-z\`, \`0-9\` and \`-\`, at most ${longestName} characters, for the VM, its host name and its pool
  are all called \`project-<name>\`. \`base\` and \`vms-base\` are taken.
- **Mistakes** are all reported at once, each with its place, the rule, the value and what to write instead, before anything is made.
  So is what the host cannot give (more memory, CPUs or disk than it has) and what is somebody else's there. Nothing of somebody
  else's is ever taken over. SSH keys are never shown, for what stands in their place may be a private one.
- **Read as Pulumi reads it**: keys may stand without \`project-vms:\`, anchors and merges (\`<<\`) count, and so do values in the \`config:\`
  of Pulumi.yaml and its \`stackConfigDir\`. A key that stands both with and without namespace is refused: Pulumi takes either by chance.
- **Secrets**: Pulumi decrypts any value (\`pulumi config set --secret\`). \`project-vm\` does not; where it needs one (all but \`sshKeys\` and
  \`headscaleApiKey\`), it says which, and the command that writes it in the clear.
- **Editors** check and explain the file with \`src/config/schema.json\`. For those with the YAML language server, make this the file's first line:
  \`# yaml-language-server: $schema=src/config/schema.json\`
`;

function keysBelow(schema: JsonSchema, path: string[]): ReferenceKey[] {
  const { properties = {}, required = [], anyOf = [], oneOf = [], additionalProperties } = schema;
  const own = Object.entries(properties).flatMap(([key, child]) => {
    const docs = child.docs as FieldDocs | undefined;
    const here = [...path, key];
    const entry = { path: here, docs, default: child.default, required: required.includes(key) };
    return [...(docs ? [{ ...entry, docs }] : []), ...keysBelow(child, here)];
  });
  const entries = additionalProperties ? ownKeysOfEntries(additionalProperties, path) : [];
  return [...own, ...entries, ...[...anyOf, ...oneOf].flatMap((branch) => keysBelow(branch, path))];
}

/** What an entry of a map can say that `defaults` cannot, without the keys below. */
function ownKeysOfEntries(entry: JsonSchema, path: string[]): ReferenceKey[] {
  const place = [...path, "<name>"];
  const direct = keysBelow(entry, place).filter((key) => key.path.length === place.length + 1);
  return direct.filter(({ path: [, , key = ""] }) => !(vmKeys as string[]).includes(key));
}

function section({ path, docs, default: value, required }: ReferenceKey): string {
  const [first = "", ...below] = path;
  const title = below.length > 0 ? `### \`${path.join(".")}\`` : `## \`project-vms:${first}\``;
  const leaf = path.at(-1);
  const facts = [
    docs.unit && `- Unit: ${docs.unit}`,
    `- Default: ${docs.absent ?? (required ? "none, it is required" : `\`${flow(value)}\``)}`,
    `- Changing it: ${docs.changing}`,
    `- Example: \`${below.length > 0 ? leaf : `project-vms:${leaf}`}: ${docs.example}\``,
  ];
  return [title, "", docs.purpose, "", ...facts.filter(Boolean), ""].join("\n");
}

/** A value as YAML on one line. */
function flow(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${key}: ${flow(inner)}`)
    .join(", ")}}`;
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(new URL(".", referenceFile), { recursive: true });
  writeFileSync(referenceFile, referenceText());
}
