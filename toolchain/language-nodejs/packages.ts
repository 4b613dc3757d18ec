import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

/** A Pulumi plugin that an installed npm package asks for. */
export interface RequiredPackage {
  name: string;
  /** With the leading "v" that the protocol has. */
  version: string;
  server: string;
  /** What turns a generic plugin into this package: value as base64. */
  parameterization: { name: string; version: string; value: string } | undefined;
}

/** The part of a package.json that matters here. */
interface PackageJson {
  name?: string;
  version?: string;
  pulumi?: {
    resource?: boolean;
    name?: string;
    version?: string;
    server?: string;
    parameterization?: { name: string; version: string; value: string };
  };
}

/**
 * Finds the plugins of all npm packages installed for a program, nested and linked ones included.
 *
 * @param programDirectory the folder with the program's node_modules
 */
export function requiredPackages(programDirectory: string): RequiredPackage[] {
  const found = new Map<string, RequiredPackage>();
  for (const folder of installedPackages(programDirectory, new Set())) {
    const required = requirementOf(readPackageJson(folder));
    if (required) found.set(JSON.stringify(required), required);
  }
  return [...found.values()];
}

/** The folders of all packages below a folder's node_modules, each once. */
function installedPackages(folder: string, seen: Set<string>): string[] {
  const modules = join(folder, "node_modules");
  const result: string[] = [];
  for (const name of namesIn(modules)) {
    const scoped = name.startsWith("@") ? namesIn(join(modules, name)).map((inner) => join(name, inner)) : [name];
    for (const path of scoped) {
      const real = realPath(join(modules, path));
      if (real === undefined || seen.has(real)) continue;
      seen.add(real);
      result.push(real, ...installedPackages(real, seen));
    }
  }
  return result;
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")) : [];
}

/** A link that leads nowhere is somebody's removed checkout, and no package. */
function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function readPackageJson(folder: string): PackageJson {
  try {
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  } catch {
    return {};
  }
}

function requirementOf(info: PackageJson): RequiredPackage | undefined {
  const pulumi = info.pulumi;
  if (pulumi?.resource !== true) return undefined;
  const name = pulumi.name ?? (info.name?.startsWith("@pulumi/") ? info.name.slice("@pulumi/".length) : undefined);
  const version = pulumi.version ?? info.version;
  if (name === undefined || version === undefined) return undefined;
  return {
    name,
    version: version.startsWith("v") ? version : `v${version}`,
    server: pulumi.server ?? "",
    parameterization: pulumi.parameterization,
  };
}
