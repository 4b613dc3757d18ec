import { existsSync } from "node:fs";
import path from "node:path";
import { cacheFolder } from "../../../toolchain/ensure/places.ts";
import { toolchainEnvironment } from "../../../toolchain/ensure.ts";
import { bridgeVersion, commandVersion, pulumiVersion, tailscaleVersion } from "../../../toolchain/plugin/version.ts";
import { mayBeFolder, ownFolder, skipRemedy, usedBackend } from "../../checkout/backend.ts";
import { type BrokenState, brokenState, describeCopy, restoreState } from "../../checkout/broken-state.ts";
import { describeHolder, isHeld, isSeen } from "../../checkout/lock-holder.ts";
import { readLocks, releaseCommand, releaseDeadLocks } from "../../checkout/stack-lock.ts";
import { attributesIn, dropAttributes, dropEmptyLayout, emptyLayout } from "../../checkout/state-attributes.ts";
import { factOf, UserError } from "../../core/errors.ts";
import { execa } from "../../core/execa.ts";
import type { Log } from "../../core/log.ts";
import { programEnvironment } from "../../core/program-environment.ts";
import { shellWord } from "../../core/shell-word.ts";
import { orphansAmong, processesFound, reapOrphans } from "../../engine/orphans.ts";
import { type Examined, failure, ok, warning } from "./finding.ts";

/** The plugins that an update needs, as folders of PULUMI_HOME. */
const plugins = [
  `resource-terraform-provider-v${bridgeVersion}`,
  `resource-command-v${commandVersion}`,
  `resource-tailscale-v${tailscaleVersion}`,
];

/** The engine of this machine, and what it may have left behind. */
export async function examineEngine(root: string, stack: string, log: Log): Promise<Examined[]> {
  const own = [toolchain(), examineOrphans(cacheFolder()), examineLocks(root, stack, log)];
  return (await Promise.all([...own, examineStateFiles(root, stack, log)])).flat();
}

/** The files of a stack's state: whether an engine can read the state itself, and what it reads beside it. */
export async function examineStateFiles(root: string, stack: string, log: Log): Promise<Examined[]> {
  const broken = await brokenState(root, stack);
  const attributes = examineAttributes(root);
  const mend = () => restoreState(root, stack, log);
  const state = broken && examineBroken(stack, broken, await releaseCommand(root, stack), mend);
  const found = [state, examineLayout(root)].filter((one) => one !== undefined);
  return found.length > 0 && attributes.level === "ok" ? found : [...found, attributes];
}

/** An engine fails at an empty note of how states are laid out, and makes one that is not there. In another backend it is others' too. */
function examineLayout(root: string): Examined | undefined {
  const { folder, isOwn } = usedBackend(root);
  const file = folder === undefined ? undefined : emptyLayout(folder);
  if (file === undefined) return undefined;
  const says = `each command of pulumi ends with "corrupt store": ${file} is empty, as a power cut leaves it`;
  const mend = async () => {
    dropEmptyLayout(root);
    if (emptyLayout(ownFolder(root))) throw new UserError(`this user may not remove ${file}`);
  };
  return failure("state files", says, `rm ${shellWord(file)}: the engine makes it again`, isOwn ? mend : undefined);
}

function examineBroken(stack: string, broken: BrokenState, release: string, mend: () => Promise<void>) {
  const { holders, file, copy, unread, issue } = broken;
  const check = "state files";
  if (holders.length > 0) {
    const says = `${file} cannot be read at the moment: an update is going on, which writes it`;
    const again = "look again when it has ended: project-vm doctor";
    return warning(check, says, `${again}; if it is surely gone: ${release}, then the same`);
  }
  const fact = factOf(issue);
  if (copy === undefined || unread) return failure(check, fact, issue.remedy);
  return failure(check, `${fact}; there is ${describeCopy(stack, copy)}`, issue.remedy, mend);
}

/** An engine reads attributes that are there, and fails at empty ones. Looked at is the folder of the backend that it uses here. */
export function examineAttributes(root: string): Examined {
  const check = "state files";
  const { name, folder } = usedBackend(root);
  if (!mayBeFolder(root)) return ok(check, `the backend ${name} keeps no files that could be empty`);
  if (folder === undefined) {
    const says = `not looked at: the backend ${name} is no folder that is known here`;
    return warning(check, says, "see by `pulumi stack ls` whether the engine can read them");
  }
  const { empty, unread } = attributesIn(folder);
  const skip = skipRemedy(root);
  if (empty.length > 0) {
    const isMeta = empty.some((file) => path.basename(file) === "meta.yaml.attrs");
    const error = isMeta ? 'read ".pulumi/meta.yaml": EOF' : "failed to load checkpoint: EOF";
    const says = `plain pulumi ends with "${error}": ${empty.join(", ")} is empty`;
    const remedy = [`rm ${empty.map(shellWord).join(" ")}`, ...(skip ? [skip] : [])].join("; then ");
    return failure(check, says, remedy, async () => removeEmpty(root, folder));
  }
  if (unread.length > 0) {
    const says = `not looked at: this user cannot read ${unread.join(", ")}`;
    return warning(check, says, "run the doctor as the user whose they are");
  }
  if (skip === undefined) return ok(check, "the engine can read them");
  const says = `the URL of the backend ${name} is without metadata=skip: an engine that is killed can leave a state that none can read`;
  return warning(check, says, skip);
}

function removeEmpty(root: string, folder: string): void {
  dropAttributes(root);
  const { empty } = attributesIn(folder);
  if (empty.length > 0) throw new UserError(`this user may not remove ${empty.join(", ")}`);
}

async function toolchain(): Promise<Examined> {
  const make = "make prepare";
  try {
    const env = toolchainEnvironment();
    const { stdout } = await execa("pulumi", ["version"], {
      env: { ...programEnvironment("engine"), ...env },
      extendEnv: false,
    });
    const home = path.join(env.PULUMI_HOME ?? "", "plugins");
    const missing = plugins.filter((plugin) => !existsSync(path.join(home, plugin)));
    if (missing.length > 0) return failure("engine", `Pulumi ${stdout.trim()}; missing: ${missing.join(", ")}`, make);
    return ok("engine", `Pulumi ${stdout.trim()} (made for v${pulumiVersion}), ${plugins.join(", ")}`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return failure("engine", "Pulumi and its plugins are not there yet, or of other versions", make);
  }
}

/** @param folder where the toolchains are */
export function examineOrphans(folder: string): Examined {
  const found = orphansAmong(processesFound(), folder);
  if (found.length === 0) return ok("plugin processes", "none was left behind");
  const pids = found.map(({ pid }) => pid).join(" ");
  const says = `${found.length} were left behind by engines that are gone (${pids})`;
  const mend = async () => {
    reapOrphans(folder);
  };
  return warning("plugin processes", says, `kill -9 ${pids}`, mend);
}

/** Whether somebody holds the stack. */
export async function examineLocks(root: string, stack: string, log: Log): Promise<Examined> {
  const found = await readLocks(root, stack);
  const holder = found.find(isHeld);
  if (holder && isSeen(holder)) return ok("lock", `an update is going on: ${describeHolder(holder)}`);
  if (holder) {
    const says = `an update may be going on: ${describeHolder(holder)}, which is not seen from here`;
    return warning("lock", says, `if that is surely gone: ${await releaseCommand(root, stack)}`);
  }
  if (found.length === 0) return ok("lock", "nobody holds the stack's");
  const mend = () => releaseDeadLocks(root, stack, log);
  const pids = found.map(({ pid }) => pid).join(", ");
  const says = `an update that was killed left its lock behind (process ${pids})`;
  const files = found.map(({ file }) => shellWord(file)).join(" ");
  return failure("lock", says, `rm ${files}, then project-vm apply --stack ${stack}`, mend);
}
