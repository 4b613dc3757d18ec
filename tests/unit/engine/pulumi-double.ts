import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach } from "vitest";
import { placeOf } from "../../../src/engine/change.ts";

/**
 * A `pulumi` that notes what it is asked for, and has the stacks that are files in `elsewhere`. What $REFUSED says ends a preview, on
 * stderr; the script in $UPDATE is an update.
 */
export const pulumi = `#!/bin/sh
echo "$*" >>"$ASKED"
case $* in
version*) echo v3.250.0 ;;
"stack select --stack "*) [ -e "elsewhere/$4" ] || { echo "error: no stack named '$4' found" >&2; exit 255; } ;;
"stack init "*) touch "elsewhere/$3"; touch "elsewhere/$5" ;;
"stack export "*) cat "elsewhere/$4" ;;
"stack output"*) echo '{}' ;;
preview*) [ "$REFUSED" ] || exit 0; echo "error: $REFUSED" >&2; exit 255 ;;
up*) eval "$UPDATE" ;;
esac
`;

/** What the stack file of {@link PulumiDouble} says. */
export const text =
  'config:\n  project-vms:host: {uri: "qemu:///system"}\n  project-vms:projects: {demo: {keepData: false}}\n';

/** A checkout of its own for each test, whose `pulumi` is the test double above, in a backend that is another than its own. */
export class PulumiDouble {
  root = "";
  private readonly before = { ...process.env };

  constructor() {
    beforeEach(() => this.begin());
    afterEach(() => this.end());
  }

  /** The stack of the checkout. */
  place(mayBeginElsewhere = false) {
    const stack = { name: "storage", root: this.root, file: "Pulumi.storage.yaml", config: { host: {} } as never };
    return placeOf(stack, mayBeginElsewhere);
  }

  /** All that it was asked for, a line each. */
  asked(): string {
    const file = path.join(this.root, "asked");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  replace(script: string): void {
    writeFileSync(path.join(this.root, "bin/pulumi"), script);
    chmodSync(path.join(this.root, "bin/pulumi"), 0o755);
  }

  private begin(): void {
    this.root = mkdtempSync(path.join(tmpdir(), "pulumi-double-"));
    for (const folder of ["bin", "elsewhere"]) mkdirSync(path.join(this.root, folder));
    const project = "name: project-vms\nruntime: nodejs\nbackend: {url: file://./.local/state}\n";
    writeFileSync(path.join(this.root, "Pulumi.yaml"), project);
    writeFileSync(path.join(this.root, "Pulumi.storage.yaml"), text);
    this.replace(pulumi);
    Object.assign(process.env, {
      PATH: `${this.root}/bin:${this.before.PATH}`,
      PULUMI_BACKEND_URL: `file://${this.root}/elsewhere`,
      ASKED: path.join(this.root, "asked"),
    });
  }

  private end(): void {
    for (const name of Object.keys(process.env)) if (!(name in this.before)) delete process.env[name];
    Object.assign(process.env, this.before);
    rmSync(this.root, { recursive: true });
  }
}
