import { UserError } from "../config/errors.ts";
import { VirshError } from "../host/virsh.ts";
import { NotReadyError } from "./ready.ts";

/** What a command resource tells its entry program: which VM on which host. */
export interface DomainEnvironment {
  uri: string;
  project: string;
  virtualization: "kvm" | "emulated";
}

/** The environment variables that carry it. */
export function domainEnvironment({ uri, project, virtualization }: DomainEnvironment): Record<string, string> {
  return { PROJECT_VMS_URI: uri, PROJECT_VMS_PROJECT: project, PROJECT_VMS_VIRTUALIZATION: virtualization };
}

/** Runs an entry program on its environment; what its user can act on is shown without a stack trace. */
export async function runEntry(main: (environment: DomainEnvironment) => Promise<void>): Promise<void> {
  try {
    await main({
      uri: required("PROJECT_VMS_URI"),
      project: required("PROJECT_VMS_PROJECT"),
      virtualization: required("PROJECT_VMS_VIRTUALIZATION") === "kvm" ? "kvm" : "emulated",
    });
  } catch (error) {
    const isBug = ![UserError, NotReadyError, VirshError].some((kind) => error instanceof kind);
    console.error(isBug ? error : (error as Error).message);
    process.exitCode = 1;
  }
}

function required(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: this program is run by a command resource of ProjectVm`);
  return value;
}
