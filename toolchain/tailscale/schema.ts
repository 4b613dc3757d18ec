import { tailscaleVersion } from "../plugin/version.ts";
import { secretKeys } from "./config.ts";
import { deviceProperties } from "./devices.ts";

const text = { type: "string" };
const truth = { type: "boolean" };
const texts = { type: "array", items: text };

const config = {
  ...Object.fromEntries(
    ["apiKey", "baseUrl", "oauthClientId", "oauthClientSecret", "tailnet", "userAgent"].map((key) => [
      key,
      { ...text, ...(secretKeys.includes(key) ? { secret: true } : {}) },
    ]),
  ),
  scopes: texts,
};

const keyInputs = {
  description: { ...text, description: "A description of the key, at most 50 characters." },
  ephemeral: { ...truth, description: "Whether devices that join with the key are ephemeral. Default: false." },
  expiry: { type: "integer", description: "Seconds until the key expires. Default: 7776000, which is 90 days." },
  preauthorized: { ...truth, description: "Whether devices that join with the key need no approval. Default: false." },
  recreateIfInvalid: {
    ...text,
    description: "Whether an invalid key is recreated: 'always', 'never'; by default reusable keys are, others not.",
  },
  reusable: { ...truth, description: "Whether more than one device can join with the key. Default: false." },
  tags: { ...texts, description: "The tags of devices that join with the key." },
  userId: { ...text, description: "The user who made the key; empty for keys made by OAuth clients." },
};

const keyOutputs = {
  ...keyInputs,
  createdAt: { ...text, description: "When the key was made." },
  expiresAt: { ...text, description: "When the key expires." },
  invalid: { ...truth, description: "Whether the key has expired, was revoked or is used up." },
  key: { ...text, secret: true, description: "The key itself." },
};

const device = {
  ...named(deviceProperties.texts, text),
  ...named(deviceProperties.times, text),
  ...named(deviceProperties.truths, truth),
  ...named(deviceProperties.lists, texts),
};

const types = {
  "tailscale:index/getDevicesDevice:getDevicesDevice": {
    type: "object",
    properties: device,
    required: Object.keys(device),
  },
  "tailscale:index/getDevicesFilter:getDevicesFilter": {
    type: "object",
    properties: { name: text, values: texts },
    required: ["name", "values"],
  },
};

/** The official package's schema, as far as it is implemented here. */
export function packageSchema(): object {
  const deviceArguments = { hostname: text, name: text, waitFor: text };
  const devicesArguments = {
    devices: listOf("tailscale:index/getDevicesDevice:getDevicesDevice"),
    filters: listOf("tailscale:index/getDevicesFilter:getDevicesFilter"),
    namePrefix: text,
  };
  return {
    name: "tailscale",
    version: tailscaleVersion,
    homepage: "https://pulumi.io",
    license: "Apache-2.0",
    repository: "https://github.com/pulumi/pulumi-tailscale",
    meta: { moduleFormat: "(.*)(?:/[^/]*)" },
    config: { variables: config },
    provider: { type: "object", properties: config, inputProperties: config },
    types,
    resources: {
      "tailscale:index/tailnetKey:TailnetKey": {
        description: "An auth key, with which devices join a tailnet without anybody signing in.",
        properties: keyOutputs,
        required: Object.keys(keyOutputs).filter((name) => name !== "recreateIfInvalid"),
        inputProperties: keyInputs,
      },
    },
    functions: {
      "tailscale:index/getDevice:getDevice": {
        description: "A single device of a tailnet.",
        inputs: { type: "object", properties: deviceArguments },
        outputs: { type: "object", properties: { ...device, waitFor: text }, required: requiredOfDevice() },
      },
      "tailscale:index/getDevices:getDevices": {
        description: "The devices of a tailnet.",
        inputs: { type: "object", properties: devicesArguments },
        outputs: { type: "object", properties: { ...devicesArguments, id: text }, required: ["id"] },
      },
    },
  };
}

function requiredOfDevice(): string[] {
  return Object.keys(device).filter((name) => name !== "hostname" && name !== "name");
}

function named(names: string[], schema: object): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, schema]));
}

function listOf(type: string): object {
  return { type: "array", items: { $ref: `#/types/${type}` } };
}
