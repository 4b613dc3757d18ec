import { execFileSync } from "node:child_process";
import { homedir, tmpdir } from "node:os";
import path from "node:path";

/** The variable that tells the tests where this machine has its temporary files; TMPDIR is each file's own. */
const variable = "PROJECT_VMS_TEST_FOLDERS";

/** The folder that all tests share for temporary files: that of whoever started them. */
const outerFolder = () => process.env[variable] ?? tmpdir();

/** Where the homes of the test files are, one for each that runs at the moment. */
export const homesFolder = () => path.join(outerFolder(), "project-vms-tests");

/**
 * Where the end-to-end tests keep what must be found again: checkouts and what belongs to them. Not in the file's home, which has
 * another path each time: an embedded host's name follows from its checkout's path, so only at a fixed one does the next run
 * find what a killed one left (its QEMUs, its network namespace, its folders), and clear it away.
 */
export const checkoutsFolder = () => path.join(outerFolder(), "project-vms-e2e");

/**
 * What stays this machine's for tests too: caches, which may change and are never to be filled twice, and how modules and
 * packages are fetched here. Each program is told by its own variable, as HOME is no longer the user's.
 */
export function sharedEnvironment(environment: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const home = environment.HOME || homedir();
  return {
    [variable]: environment[variable] || tmpdir(),
    XDG_CACHE_HOME: environment.XDG_CACHE_HOME || path.join(home, ".cache"),
    npm_config_userconfig: environment.npm_config_userconfig || path.join(home, ".npmrc"),
    ...goEnvironment({ ...environment, HOME: home }),
  };
}

/** Go's caches and its settings; nothing where there is no Go. */
function goEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const settings = environment.XDG_CONFIG_HOME || path.join(environment.HOME ?? "", ".config");
  const GOENV = environment.GOENV || path.join(settings, "go/env");
  try {
    const names = ["GOCACHE", "GOMODCACHE"];
    // Without a place for settings it counts no call in the user's.
    const env = { ...environment, GOENV, XDG_CONFIG_HOME: "/dev/null" };
    const values = execFileSync("go", ["env", ...names], {
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return { GOENV, ...Object.fromEntries(names.map((name, i) => [name, values.split("\n")[i] ?? ""])) };
  } catch {
    return {};
  }
}
