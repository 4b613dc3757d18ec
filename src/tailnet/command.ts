import { type ApiConfig, withEnvironment } from "./access.ts";
import { apiConfigIn } from "./stack-config.ts";

/** The environment variable in which a command is told the stack whose config has the API's credentials; unset where none has. */
export const stackVariable = "PROJECT_VMS_TAILNET_STACK";

/** In which commands of earlier versions, that a state may still have, were told the {@link ApiConfig} itself, as JSON. */
const formerVariable = "PROJECT_VMS_TAILNET_API";

/**
 * The API credentials that a command has. It is told none: it takes them from where they are, the stack's config or its environment.
 *
 * @throws {UserError} when the config cannot be read
 */
export async function apiOfCommand(environment: NodeJS.ProcessEnv): Promise<ApiConfig> {
  const { [stackVariable]: stack, [formerVariable]: former = "{}" } = environment;
  return withEnvironment(stack ? await apiConfigIn(stack) : (JSON.parse(former) as ApiConfig), environment);
}
