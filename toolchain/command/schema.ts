import { commandVersion } from "../plugin/version.ts";

const text = { type: "string" };
const texts = { type: "array", items: text };

/** What the resource and the invoke have in common. */
const runProperties = {
  addPreviousOutputInEnv: {
    type: "boolean",
    description:
      "Put what the command printed last time into PULUMI_COMMAND_STDOUT and PULUMI_COMMAND_STDERR. Defaults to true.",
  },
  dir: { ...text, description: "The directory in which to run the command; it must exist." },
  environment: { type: "object", additionalProperties: text, description: "Additional environment variables." },
  interpreter: { ...texts, description: 'The program and arguments to run the command. Default: ["/bin/sh", "-c"].' },
  logging: {
    $ref: "#/types/command:local:Logging",
    description: "Which output is logged as it comes. Default: both. The outputs are captured all the same.",
  },
  stdin: { ...text, description: "What the command gets on its standard input." },
};

const outputProperties = {
  stderr: { ...text, description: "The standard error of the command's process" },
  stdout: { ...text, description: "The standard output of the command's process" },
};

const commandProperties = {
  ...runProperties,
  create: { ...text, description: "The command to run on creation, and on update if there is no `update`." },
  delete: { ...text, description: "The command to run on deletion." },
  update: { ...text, description: "The command to run on update." },
  triggers: {
    type: "array",
    items: { $ref: "pulumi.json#/Any" },
    replaceOnChanges: true,
    description: "Values whose change replaces the resource.",
  },
};

const logging = {
  type: "string",
  enum: [
    { value: "stdout", description: "Capture stdout in logs but not stderr" },
    { value: "stderr", description: "Capture stderr in logs but not stdout" },
    { value: "stdoutAndStderr", description: "Capture stdout and stderr in logs" },
    { value: "none", description: "Capture no logs" },
  ],
};

/** The official package's schema, as far as it is implemented here. */
export function packageSchema(): object {
  const required = ["stderr", "stdout"];
  const invokeProperties = { ...runProperties, command: { ...text, description: "The command to run." } };
  return {
    name: "command",
    displayName: "Command",
    version: commandVersion,
    homepage: "https://pulumi.com",
    license: "Apache-2.0",
    repository: "https://github.com/pulumi/pulumi-command",
    publisher: "Pulumi",
    meta: { moduleFormat: "(.*)" },
    language: { nodejs: { respectSchemaVersion: true } },
    config: {},
    provider: { type: "object" },
    types: { "command:local:Logging": logging },
    resources: {
      "command:local:Command": {
        description: "A local command to be executed.",
        type: "object",
        properties: { ...commandProperties, ...outputProperties },
        required,
        inputProperties: commandProperties,
      },
    },
    functions: {
      "command:local:run": {
        description: "A local command to be executed, at any preview and any update.",
        inputs: { type: "object", properties: invokeProperties, required: ["command"] },
        outputs: {
          type: "object",
          properties: { ...invokeProperties, ...outputProperties },
          required: ["command", ...required],
        },
      },
    },
  };
}
