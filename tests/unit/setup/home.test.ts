import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { imageCacheDir } from "../../../src/images/cache.ts";
import {
  deadHomes,
  makeHome,
  placeVariables,
  removeHome,
  requireRoomForSockets,
  userVariables,
  userVariablesIn,
  withoutOwnSsh,
} from "../../setup/home.ts";
import { checkoutsFolder, homesFolder, sharedEnvironment } from "../../setup/places.ts";

const own = process.env.HOME ?? "";
const scratch = mkdtempSync(path.join(tmpdir(), "homes-"));
afterAll(() => rmSync(scratch, { recursive: true }));

describe("this test file", () => {
  test("has a home of its own, which is this process's", () => {
    expect(path.dirname(own)).toBe(homesFolder());
    expect(path.basename(own)).toMatch(new RegExp(`^${process.pid}-`));
    expect(homedir()).toBe(own);
    expect(tmpdir()).toBe(path.join(own, "tmp"));
  });

  test.each(placeVariables)("%s leads into it, for children too, to a folder", (name) => {
    const place = execFileSync("sh", ["-c", `printf %s "$${name}"`], { encoding: "utf8" });
    expect(`${place}/`.startsWith(`${own}/`)).toBe(true);
    const open: Record<string, number> = { HOME: 0o711, TMPDIR: 0o1777 };
    expect(statSync(place).mode & 0o7777).toBe(open[name] ?? 0o700);
  });

  test.each(userVariables)("%s of the user's is not handed on", (name) => {
    expect(process.env[name]).toBeUndefined();
  });

  test.each([
    "HISTFILE",
    "LESSHISTFILE",
    "NODE_REPL_HISTORY",
    "PSQL_HISTORY",
    "PYTHON_HISTORY",
    "TMUX_TMPDIR",
    "GOTMPDIR",
    "TMP",
    "TEMP",
    "PULUMI_CREDENTIALS_PATH",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AWS_SHARED_CREDENTIALS_FILE",
    "TS_LOGS_DIR",
    "HEADSCALE_CONFIG",
    "LIBVIRT_LOG_OUTPUTS",
    "LIBVIRT_AUTH_FILE",
    "TMUX",
    "GIT_DIR",
  ])("%s leads out of it, and is none that is handed on", (name) => {
    expect(userVariablesIn({ [name]: "/home/me/x", PATH: "/bin" })).toEqual([name]);
    expect(process.env[name]).toBeUndefined();
  });

  test.each([
    ...placeVariables,
    "PATH",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "TF_CLI_CONFIG_FILE",
    "PYENV_ROOT",
    "RUSTUP_HOME",
    "GOCACHE",
    "GOMODCACHE",
    "GOENV",
    "XDG_CACHE_HOME",
    "npm_config_userconfig",
    "PROJECT_VMS_TEST_FOLDERS",
    // What `make env` says.
    "PULUMI_HOME",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_SKIP_UPDATE_CHECK",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    "LANG",
    "TERM",
  ])("%s stays", (name) => {
    expect(userVariablesIn({ [name]: "/home/me/x" })).toEqual([]);
  });

  test("its checkouts are where the next run finds them, and the caches are the machine's", () => {
    expect(checkoutsFolder()).toBe(path.join(path.dirname(homesFolder()), "project-vms-e2e"));
    expect(imageCacheDir().startsWith(own)).toBe(false);
    expect(process.env.XDG_CACHE_HOME).toBe(sharedEnvironment().XDG_CACHE_HOME);
    expect(process.env.GOCACHE?.startsWith(own)).not.toBe(true);
  });

  test("git and npm read its settings: no user's name, but this checkout is trusted", () => {
    const git = (...args: string[]) => spawnSync("git", ["config", "--global", ...args], { encoding: "utf8" }).stdout;
    expect(git("--list", "--name-only")).toBe("safe.directory\n");
    expect(git("safe.directory").trim()).toBe(path.resolve("."));
  });
});

/** What an ssh of a home has from its settings, without connecting to anything. */
function sshSettings(environment: NodeJS.ProcessEnv, ...args: string[]): string[] {
  const { stdout, stderr } = spawnSync("ssh", [...args, "-T", "-G", "somewhere"], {
    env: environment,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((line) => /^(user|userknownhostsfile|identityfile) /.test(line));
}

describe.skipIf(!existsSync("/usr/bin/ssh"))("its ssh", () => {
  test("takes host keys and keys from there, and nothing from the user's", () => {
    expect(sshSettings(process.env)).toEqual([
      expect.stringMatching(/^user /),
      `identityfile ${own}/.ssh/id_ed25519`,
      `userknownhostsfile ${own}/.ssh/known_hosts`,
    ]);
  });

  test("takes the settings that a caller names in place of the home's", () => {
    const file = path.join(scratch, "config");
    writeFileSync(file, "Host *\n  User somebody\n  UserKnownHostsFile /none\n  IdentityFile /key\n");
    const settings = ["user somebody", "identityfile /key", "userknownhostsfile /none"];
    expect(sshSettings(process.env, "-F", file)).toEqual(settings);
  });

  test("is the machine's for who asks for that", () => {
    const environment = withoutOwnSsh(process.env);
    const found = execFileSync("sh", ["-c", "command -v ssh"], { env: environment, encoding: "utf8" });
    expect(found.startsWith(own)).toBe(false);
  });
});

describe("a home", () => {
  test("is another each time, and is gone once it is removed", () => {
    const folder = path.join(scratch, "each");
    const homes = [makeHome(folder, "/repository"), makeHome(folder, "/repository")];
    expect(new Set(homes.map(({ dir }) => dir)).size).toBe(2);
    writeFileSync(path.join(homes[0]?.dir ?? "", "tmp/file"), "");
    for (const home of homes) removeHome(home);
    expect(homes.filter(({ dir }) => existsSync(dir))).toEqual([]);
  });

  test("that a killed run left is known by its process", () => {
    const folder = path.join(scratch, "dead");
    const { pid } = spawnSync("true");
    for (const name of [`${pid}-abcdef`, `${process.pid}-abcdef`, "strange"])
      mkdirSync(path.join(folder, name), { recursive: true });
    expect(deadHomes(folder)).toEqual([path.join(folder, `${pid}-abcdef`)]);
    expect(deadHomes(path.join(scratch, "none"))).toEqual([]);
  });

  test("so deep down that sockets in it would have no place is refused", () => {
    const homeAt = (TMPDIR: string) => ({ dir: "", environment: { TMPDIR } });
    requireRoomForSockets(homeAt("a".repeat(62)));
    expect(() => requireRoomForSockets(homeAt("a".repeat(63)))).toThrow(/: 63 bytes, but .* set a shorter TMPDIR/);
  });
});

test("what stays the machine's goes by the user's home where no variable names it", () => {
  const shared = sharedEnvironment({ PATH: process.env.PATH, HOME: "/home/me", PROJECT_VMS_TEST_FOLDERS: "/t" });
  expect(shared).toMatchObject({
    PROJECT_VMS_TEST_FOLDERS: "/t",
    XDG_CACHE_HOME: "/home/me/.cache",
    npm_config_userconfig: "/home/me/.npmrc",
  });
  expect(sharedEnvironment({ HOME: "/home/me", XDG_CACHE_HOME: "/c" }).XDG_CACHE_HOME).toBe("/c");
});

test("git's settings are written for the checkout that is tested", () => {
  const home = makeHome(path.join(scratch, "git"), "/some/where");
  expect(readFileSync(path.join(home.dir, ".gitconfig"), "utf8")).toBe("[safe]\n\tdirectory = /some/where\n");
  removeHome(home);
});
