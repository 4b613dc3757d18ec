/** A stack file of the corpus. */
export interface CorpusFile {
  /** What is odd about it. */
  name: string;
  text: string | Buffer;
  /** What Pulumi.yaml has beside `name`, `runtime` and `backend`. */
  project?: string;
  /** The project's name, where it is not ours. */
  projectName?: string;
  /** Why the reader refuses what the engine takes. */
  refused?: string;
  /** The folder that the file is in, where it is not that of Pulumi.yaml. */
  dir?: string;
}

export const config = (lines: string) => `config:\n${lines.replace(/^(?=.)/gm, "  ")}\n`;
export const projects = (lines: string) => config(`project-vms:projects:\n${lines.replace(/^(?=.)/gm, "  ")}`);
export const demo = "project-vms:projects: {demo: {}}";
