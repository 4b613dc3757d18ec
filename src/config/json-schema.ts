import { writeFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";

import { type FieldDocs, fieldDocs, stackSchema } from "./schema.ts";

/** A node of a JSON Schema, as far as this project reads one. */
export interface JsonSchema {
  [key: string]: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  default?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  /** Of a map: what each of its values is; `false` where there are no other keys. */
  additionalProperties?: JsonSchema | false;
}

/** The JSON Schema of the config's own keys; `annotate` says what goes into it of a key's documentation. */
export function configSchema(annotate: (docs: FieldDocs) => object): JsonSchema {
  return z.toJSONSchema(stackSchema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      const docs = fieldDocs.get(zodSchema);
      if (docs) Object.assign(jsonSchema, annotate(docs));
    },
  }) as JsonSchema;
}

/**
 * The JSON Schema of a stack file, `Pulumi.<stack>.yaml`, for editors: it completes, explains and checks while one types.
 * What the parser knows beyond it (whether a key is whole, a name is free) is said at the first preview.
 */
export function stackFileSchema(): JsonSchema {
  const {
    $schema,
    properties = {},
    type,
  } = configSchema((docs) => ({
    description: describe(docs),
    examples: [parse(docs.example)],
  }));
  const keys = Object.keys(properties);
  return {
    $schema,
    title: "Stack file of Project VMs",
    type,
    properties: {
      config: {
        type,
        properties: Object.fromEntries(keys.map((key) => [`project-vms:${key}`, properties[key] ?? {}])),
        // Keys of other namespaces are Pulumi's or a provider's; of our own there are these and no others.
        patternProperties: { [`^project-vms:(?!(${keys.join("|")})$)`]: false },
      },
    },
  };
}

/** Where it is kept, and what must be in there. */
export const schemaFile = new URL("schema.json", import.meta.url);
export const schemaText = () => `${JSON.stringify(stackFileSchema(), null, 2)}\n`;

function describe({ purpose, unit, absent, changing }: FieldDocs): string {
  const parts = [purpose, unit && `Unit: ${unit}.`, absent && `Default: ${absent}.`, `Changing it: ${changing}`];
  return parts.filter(Boolean).join(" ");
}

if (process.argv[1] === import.meta.filename) writeFileSync(schemaFile, schemaText());
