import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { pulumiVersion } from "../../../../toolchain/plugin/version.ts";
import type { CorpusFile } from "./corpus-file.ts";
import { corpus, passphrase } from "./stack-files.ts";

/**
 * Records what the engine makes of each file of the corpus, into answers.json:
 *
 *     eval "$(make -s env)" && node --import tsx/esm tests/unit/config/corpus/record.ts
 */

const folder = mkdtempSync(path.join(tmpdir(), "corpus-"));
const env = { PULUMI_CONFIG_PASSPHRASE: passphrase, PULUMI_CONFIG_PASSPHRASE_FILE: "" };
const pulumi = (cwd: string, ...args: string[]) => execa("pulumi", [...args, "--stack", "local"], { cwd, env });

function write(root: string, { text, project = "", projectName = "project-vms", dir = "" }: CorpusFile): void {
  mkdirSync(path.join(root, dir), { recursive: true });
  const own = `name: ${projectName}\nruntime: nodejs\nbackend: {url: "file://${folder}/state"}\n`;
  writeFileSync(path.join(root, "Pulumi.yaml"), own + project);
  writeFileSync(path.join(root, dir, "Pulumi.local.yaml"), text);
}

/** What a program would be given, by key; null: the engine refuses the file. */
async function ask(file: CorpusFile): Promise<Record<string, string> | null> {
  const root = mkdtempSync(path.join(folder, "file-"));
  write(root, file);
  const { stdout, exitCode } = await execa("pulumi", ["config", "--show-secrets", "--json", "--stack", "local"], {
    cwd: root,
    env,
    reject: false,
  });
  if (exitCode !== 0) return null;
  const values = JSON.parse(stdout) as Record<string, { value: string }>;
  return Object.fromEntries(Object.entries(values).map(([key, { value }]) => [key, value]));
}

try {
  mkdirSync(path.join(folder, "state"));
  for (const projectName of new Set(corpus.map((file) => file.projectName ?? "project-vms"))) {
    const root = mkdtempSync(path.join(folder, "begin-"));
    write(root, { name: "", text: "", projectName });
    await pulumi(root, "stack", "init");
  }
  const answers: Record<string, Record<string, string> | null> = {};
  for (const file of corpus) {
    answers[file.name] = await ask(file);
    console.error(file.name, answers[file.name] === null ? "refused" : "read");
  }
  const target = path.join(import.meta.dirname, "answers.json");
  writeFileSync(path.join(folder, "answers.json"), `${JSON.stringify({ pulumiVersion, answers }, null, 2)}\n`);
  cpSync(path.join(folder, "answers.json"), target);
} finally {
  rmSync(folder, { recursive: true });
}
