import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import "./lazy-packages.cjs";

/*
 * The sources of a program (the command line, a stack's program, a step of an update) in a few files of JavaScript, so that no
 * start has to find, compile and link hundreds. They are made when they are missing or a source has changed. No TypeScript
 * here: this is what runs before any can.
 */

const root = path.resolve(import.meta.dirname, "..");

/** Below node_modules, where packages are found; of this checkout alone, for several may share one node_modules. */
const folderOf = (entry) =>
  path.join(root, "node_modules", ".cache", "project-vm", digestOf(root + process.version + entry));

/** What the bundle was made of, its files, and the one that begins it. */
const manifestIn = (folder) => path.join(folder, "manifest.json");

/** npm writes it at each change of the packages. */
const packages = path.join(root, "node_modules", ".package-lock.json");

/**
 * As big as all the rest, and needed only by the verbs that start the engine; and in a stack's program they must be the very
 * modules that the engine's runner has loaded. esbuild looks for its program from where it is itself.
 */
const external = ["@pulumi/*", "@grpc/*", "google-protobuf", "esbuild"];

/** For how long a file stays that is of no use any more, in milliseconds: what runs still may yet load it. */
const longestRun = 24 * 3600 * 1000;

/**
 * Loads a source with all that it imports, from its bundle.
 *
 * @param {string} entry relative to this checkout, e.g. `cli/main.ts`
 */
export async function load(entry) {
  const file = await bundled(entry);
  if (file !== undefined) return import(pathToFileURL(file).href);
  // From 22.18 on, Node strips types by itself, but for packages.
  if (process.features.typescript && !root.includes("/node_modules/"))
    return import(pathToFileURL(path.join(root, entry)).href);
  // It would run what another user has put into /tmp by the name that it looks for.
  process.env.TSX_DISABLE_CACHE = "1";
  const { register } = await import("tsx/esm/api").catch(() => {
    console.error(`project-vm's packages are not installed: npm ci, in ${root}`);
    process.exit(1);
  });
  // By default it obeys the nearest tsconfig.json, from the current folder upwards, also one of another user's.
  register({ tsconfig: false });
  return import(pathToFileURL(path.join(root, entry)).href);
}

/**
 * The file that begins a bundle, recreated where a source has changed.
 *
 * @returns {Promise<string | undefined>} undefined where none can be made: then the sources are loaded themselves
 */
async function bundled(entry) {
  const folder = folderOf(entry);
  const last = readManifest(folder);
  if (last && isFresh(folder, last)) return path.join(folder, last.main);
  try {
    return await bundle(entry, folder, last?.files ?? []);
  } catch {
    // The folder cannot be written to, or a source has a mistake, which is told when it is loaded itself.
    return undefined;
  }
}

function readManifest(folder) {
  try {
    return JSON.parse(readFileSync(manifestIn(folder), "utf8"));
  } catch {
    return undefined;
  }
}

function isFresh(folder, { main, sources }) {
  return Object.entries(sources).every(([file, mark]) => markOf(file) === mark) && existsSync(path.join(folder, main));
}

/** Another one after every change of a file, however it was made. */
function markOf(file) {
  const found = statSync(file, { throwIfNoEntry: false });
  return found ? `${found.ctimeMs} ${found.size}` : "";
}

/** @param {string[]} before names of the last bundle's files */
async function bundle(entry, folder, before) {
  const started = Date.now();
  mkdirSync(folder, { recursive: true });
  const { metafile, outputFiles } = await build(entry, folder);
  for (const { path: file, contents } of outputFiles) writeWhole(file, contents);
  const files = outputFiles.map(({ path: file }) => path.basename(file));
  const main = path.basename(Object.keys(metafile.outputs).find((file) => metafile.outputs[file].entryPoint === entry));
  const inputs = Object.keys(metafile.inputs).filter((file) => !file.includes("node_modules/"));
  const sources = [...inputs.map((file) => path.resolve(root, file)), packages, import.meta.filename];
  // One that was written to meanwhile may be in the bundle as it was before: then the next start makes another.
  if (sources.every((file) => (statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? 0) < started)) {
    const marks = Object.fromEntries(sources.map((file) => [file, markOf(file)]));
    writeWhole(manifestIn(folder), JSON.stringify({ main, files, sources: marks }));
  }
  removeOld(folder, before, files);
  return path.join(folder, main);
}

/** Files are named by their contents: whoever makes the same at once writes the same, and nobody writes into another's. */
async function build(entry, folder) {
  const esbuild = await import("esbuild");
  return esbuild.build({
    absWorkingDir: root,
    entryPoints: [entry],
    outdir: folder,
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: `node${process.versions.node}`,
    tsconfigRaw: {},
    external,
    // Read only where Node is told to: NODE_OPTIONS=--enable-source-maps
    sourcemap: "linked",
    sourcesContent: false,
    // Packages that are no ES modules load Node's own by it.
    banner: { js: 'import { createRequire as $from } from "node:module"; const require = $from(import.meta.url);' },
    plugins: [sourcePlaces],
    metafile: true,
    write: false,
    logLevel: "silent",
  });
}

/** What stands beside a source is found from there, not from the bundle. */
const sourcePlaces = {
  name: "source-places",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path: file }) => {
      const text = readFileSync(file, "utf8");
      if (!text.includes("import.meta.")) return undefined;
      const places = { url: pathToFileURL(file).href, dirname: path.dirname(file), filename: file };
      const place = (_, key) => JSON.stringify(places[key]);
      return { contents: text.replaceAll(/\bimport\.meta\.(url|dirname|filename)\b/g, place), loader: "ts" };
    });
  },
};

/** At no moment, not even when this is killed, a file is there by half. */
function writeWhole(file, contents) {
  const partial = `${file}.${process.pid}.partial`;
  writeFileSync(partial, contents);
  renameSync(partial, file);
}

/** Their time says since when they are of no use. */
function removeOld(folder, before, now) {
  const time = Date.now();
  for (const name of readdirSync(folder)) {
    const file = path.join(folder, name);
    if (now.includes(name) || file === manifestIn(folder)) continue;
    if (before.includes(name)) utimesSync(file, time / 1000, time / 1000);
    else if (statSync(file).mtimeMs < time - longestRun) rmSync(file, { force: true });
  }
}

function digestOf(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
