// Where steps of an update were in earlier versions. A stack's state names a step by its file: what only a removal runs until the next
// update, the base image and the wait for a guest until they are recreated. bin/entry.js looks here.
// node bin/former-steps.js <folder>: puts files at those places of a compiled package that load the steps of today.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** @type {Record<string, string>} */
export const formerSteps = {
  "data/schedule-entry.ts": "src/steps/backup-schedule.ts",
  "guest/wait-until-ready.ts": "src/steps/wait-until-ready.ts",
  "images/main.ts": "src/steps/publish-base-image.ts",
  "vm/network-entry.ts": "src/steps/remove-network.ts",
  "vm/teardown-entry.ts": "src/steps/tear-down-vm.ts",
};

if (process.argv[1] === import.meta.filename) {
  const [folder] = process.argv.slice(2);
  const compiled = (file) => path.join(folder, file.replace(/\.ts$/, ".js"));
  for (const [former, step] of Object.entries(formerSteps)) {
    const place = path.dirname(compiled(former));
    mkdirSync(place, { recursive: true });
    writeFileSync(compiled(former), `import "${path.relative(place, compiled(step))}";\n`);
  }
}
