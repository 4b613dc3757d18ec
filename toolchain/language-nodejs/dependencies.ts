import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** An npm package of the program. */
export interface Dependency {
  name: string;
  version: string;
}

/** Runs `npm install` in the program's folder, passing its output on as it comes. @throws Error if npm fails */
export async function installDependencies(
  programDirectory: string,
  output: { stdout: (data: Buffer) => void; stderr: (data: Buffer) => void },
): Promise<void> {
  const child = spawn("npm", ["install", "--loglevel", "error"], {
    cwd: programDirectory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.on("data", output.stdout);
  child.stderr.on("data", output.stderr);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`npm install failed: exit status ${code}`);
}

/**
 * The version of npm, or "" if it cannot be told. It stands beside what PATH leads to; npm itself needs half a second to say it,
 * and the engine asks at each of its starts.
 */
export function npmVersion(): string {
  try {
    const npm = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "npm"));
    const program = realpathSync(npm.find((file) => existsSync(file)) ?? "");
    const { name, version } = readJson(join(dirname(program), "../package.json"));
    if (name === "npm" && version) return version;
    // A version manager's own program.
    return execFileSync("npm", ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "";
  }
}

/** The installed packages that the program names itself; with `transitive` all that are installed. */
export function programDependencies(programDirectory: string, transitive: boolean): Dependency[] {
  const installed = readJson(join(programDirectory, "node_modules", ".package-lock.json")).packages ?? {};
  const { dependencies = {}, devDependencies = {} } = readJson(join(programDirectory, "package.json"));
  const direct = new Set(Object.keys({ ...dependencies, ...devDependencies }));
  return Object.entries(installed)
    .filter(([path, { version, link }]) => path.startsWith("node_modules/") && (version !== undefined || link))
    .map(([path, { version, resolved }]) => ({
      name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
      // A linked package has its version at the place it is linked to.
      version: version ?? installed[resolved ?? ""]?.version ?? "",
      nested: path.lastIndexOf("node_modules/") > 0,
    }))
    .filter(({ name, nested }) => transitive || (direct.has(name) && !nested))
    .map(({ name, version }) => ({ name, version }));
}

interface JsonFile {
  name?: string;
  version?: string;
  packages?: Record<string, { version?: string; link?: boolean; resolved?: string }>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

function readJson(path: string): JsonFile {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return {};
  }
}
