import { UserError } from "../core/errors.ts";
import { execa } from "../core/execa.ts";
import { type ApiConfig, apiConfigOf } from "./access.ts";

/** For `pulumi` to read a stack's config, in milliseconds: a second, but for a slow backend. */
const limit = 60_000;

/**
 * The API's credentials in a stack's config, as Pulumi decrypts them for its user. A command asks for them itself: what the engine
 * tells a command stands in the engine's logs at `-v=9`, also what is secret.
 *
 * @param stack as `--stack` takes it; its program's folder is the current one
 * @throws {UserError} when `pulumi` cannot read it, such as without its passphrase; no message shows a secret
 */
export async function apiConfigIn(stack: string): Promise<ApiConfig> {
  const args = ["config", "--json", "--show-secrets", "--stack", stack, "--non-interactive"];
  // Not into the log of an engine that is being debugged either.
  const env = { PULUMI_DEBUG_GRPC: undefined, PULUMI_SKIP_UPDATE_CHECK: "1" };
  const { exitCode, stdout, stderr } = await execa("pulumi", args, {
    env,
    stdin: "ignore",
    reject: false,
    timeout: limit,
  });
  if (exitCode !== 0) throw notReadable(stack, stderr ?? "");
  const found = JSON.parse(stdout) as Record<string, { value?: string }>;
  return apiConfigOf(Object.fromEntries(Object.entries(found).map(([key, { value = "" }]) => [key, value])));
}

function notReadable(stack: string, stderr: string): UserError {
  const reason = stderr.trim().split("\n").at(-1) || "pulumi did not answer";
  return new UserError("The credentials of the tailnet's API cannot be read from the stack's config.", [
    {
      path: stack,
      rule: `must be readable by \`pulumi config\` where the update's commands run, but: ${reason}`,
      remedy:
        "set PULUMI_CONFIG_PASSPHRASE_FILE (a passphrase that is typed in reaches no command), or give the credentials in the environment",
    },
  ]);
}
