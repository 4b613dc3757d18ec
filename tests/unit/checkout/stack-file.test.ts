import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { withEntry, withoutEntry, withSalt, withSettings, writeWhole } from "../../../src/checkout/stack-file.ts";
import { plainProject } from "../../../src/config/pulumi-project.ts";
import { messageOf } from "../config/samples.ts";

const file = "Pulumi.local.yaml";

/** A file as people write it: comments everywhere, anchors, odd indentation, quotes of both kinds, blank lines. */
const odd = `# yaml-language-server: $schema=src/config/schema.json
encryptionsalt:   v1:abc=   # never lose this

config:
   # ours
   "project-vms:defaults":   { memory: 2 GiB,cpus: 2 }
   project-vms:projects:
       # the first one
       demo:   &small {}       # as it comes

       'webapp':
            memory:   4 GiB    # enough
            backup: {every: 1d,   keep: 7}
            # cpus: 8
       twin: *small
       # the last one
       bare:
   # after the projects
   aws:region: eu-west-1
`;

/** The lines that a text has and the other one has not, each with its sign. */
function difference(before: string, after: string): string[] {
  const [old, now] = [before.split("\n"), after.split("\n")];
  const start = old.findIndex((line, i) => line !== now[i]);
  const same = [...old].reverse().findIndex((line, i) => line !== now.at(-1 - i));
  const end = Math.min(same, old.length - start, now.length - start);
  return [
    ...old.slice(start, old.length - end).map((line) => `-${line}`),
    ...now.slice(start, now.length - end).map((line) => `+${line}`),
  ];
}

describe("a new project", () => {
  const add = (text: string, settings = {}) => withEntry(text, file, "myapp", settings);

  test("comes behind the last one, and nothing else of the file is touched", () => {
    expect(difference(odd, add(odd, { memory: "16384 MiB", cpus: 8 }))).toEqual([
      "+       myapp: { memory: 16384 MiB, cpus: 8 }",
    ]);
  });

  test.each([
    ["an empty file", "", "config:\n  project-vms:projects:\n    myapp: {}\n"],
    ["only a comment", "# mine\n", "# mine\nconfig:\n  project-vms:projects:\n    myapp: {}\n"],
    ["a config of nothing", "config:\n", "config:\n  project-vms:projects:\n    myapp: {}\n"],
    ["a config in braces", "config: {}\n", "config:\n  project-vms:projects:\n    myapp: {}\n"],
    ["no projects", "config:\n  a:b: c", "config:\n  a:b: c\n  project-vms:projects:\n    myapp: {}\n"],
    [
      "projects of nothing",
      "config:\n  project-vms:projects: # none\n  a:b: c\n",
      "config:\n  project-vms:projects:\n    myapp: {} # none\n  a:b: c\n",
    ],
    [
      "projects in empty braces",
      "config:\n    project-vms:projects: {} # none\n",
      "config:\n    project-vms:projects:\n      myapp: {} # none\n",
    ],
    [
      "projects in braces",
      "config: {project-vms:projects: {demo: {}}}\n",
      "config: {project-vms:projects: {demo: {}, myapp: {}}}\n",
    ],
    [
      "projects in braces over several lines",
      "config:\n  project-vms:projects: {\n    demo: {}, # one\n  }\n",
      "config:\n  project-vms:projects: {\n    demo: {}, myapp: {}, # one\n  }\n",
    ],
    [
      "lines that end as on Windows",
      "config:\r\n  project-vms:projects:\r\n    demo: {}\r\n",
      "config:\r\n  project-vms:projects:\r\n    demo: {}\r\n    myapp: {}\r\n",
    ],
    [
      "no line break at the end",
      "config:\n  project-vms:projects:\n    demo: {}",
      "config:\n  project-vms:projects:\n    demo: {}\n    myapp: {}\n",
    ],
  ])("in a file with %s", (_, before, after) => {
    expect(add(before)).toBe(after);
  });

  test("whose name YAML would read as something else has quotes", () => {
    expect(withEntry("", file, "1234", {})).toContain('\n    "1234": {}\n');
  });

  test("is refused where its place is an alias", () => {
    const text = "x: &all {demo: {}}\nconfig:\n  project-vms:projects: *all\n";
    expect(messageOf(() => add(text))).toBe(
      [
        "Pulumi.local.yaml was not changed.",
        "  - Pulumi.local.yaml: projects.myapp: must be written such that it can be changed without touching the rest",
        "    change it by hand, then `project-vm apply` (anchors, aliases, merges, projects of Pulumi.yaml and values over several lines are left alone)",
      ].join("\n"),
    );
  });
});

describe("a key without namespace", () => {
  const bare = "config:\n  projects:\n    demo: { cpus: 2 } # mine\n";

  test("is where projects are added, changed and removed", () => {
    expect(withEntry(bare, file, "shop", {})).toBe(`${bare}    shop: {}\n`);
    expect(withSettings(bare, file, "demo", { cpus: 4 })).toBe(bare.replace("2", "4"));
    expect(withoutEntry(bare, file, "demo")).toBe("config:\n  projects: {}\n");
  });

  test("is of the project that Pulumi.yaml names", () => {
    const other = { ...plainProject, name: "mine" };
    expect(withEntry(bare, file, "shop", {}, other)).toBe(`${bare}  project-vms:projects:\n    shop: {}\n`);
    const both = `${bare}  project-vms:projects:\n    shop: {}\n`;
    expect(messageOf(() => withEntry(both, file, "api", {}))).toContain("it takes one of them by chance");
  });
});

describe("a project that would hide others is not added:", () => {
  test.each([
    ["those of Pulumi.yaml", "config: {}\n", { ...plainProject, config: { projects: { demo: {} } } }],
    ["those of a merge", "x: &x\n  projects: { demo: {} }\nconfig:\n  <<: *x\n", plainProject],
    [
      "those of a merge with a namespace",
      "x: &x\n  project-vms:projects: { demo: {} }\nconfig:\n  <<: *x\n",
      plainProject,
    ],
    ["those in a text of JSON", `config:\n  projects: '{"demo": {}}'\n`, plainProject],
    ["those that are a secret", "config:\n  projects: { secure: v1:abc }\n", plainProject],
  ])("%s", (_, text, project) => {
    expect(messageOf(() => withEntry(text, file, "shop", {}, project))).toMatch(/was not (changed|read)/);
  });

  test("settings of a project that is merged in hide nothing of it either", () => {
    const text = "x: &x { web: { cpus: 2, disk: 9 GiB } }\nconfig:\n  project-vms:projects:\n    <<: *x\n";
    expect(messageOf(() => withSettings(text, file, "web", { cpus: 4 }))).toContain(
      "projects.web.cpus: must be written",
    );
    expect(messageOf(() => withoutEntry(text, file, "web"))).toContain("projects.web: must be written");
    expect(withEntry(text, file, "shop", {})).toBe(`${text}    shop: {}\n`);
  });

  test("settings beside a merge key count for that project", () => {
    const text = "x: &x { cpus: 2 }\nconfig:\n  project-vms:projects:\n    web: { <<: *x }\n    api: { <<: *x }\n";
    expect(withSettings(text, file, "web", { cpus: 4 })).toBe(text.replace("web: { <<: *x", "web: { <<: *x, cpus: 4"));
  });
});

test.each(["0b11", "2026-11-21", "010", "1e3"])(
  "a name that the engine would read as something else has quotes: %s",
  (name) => {
    expect(withEntry("", file, name, {})).toContain(`\n    "${name}": {}\n`);
  },
);

describe("changed settings", () => {
  const change = (name: string, settings: Record<string, string | number>) => withSettings(odd, file, name, settings);

  test("change where they stand, and are added where they do not", () => {
    expect(difference(odd, change("webapp", { memory: "8 GiB", cpus: 4 }))).toEqual([
      "-            memory:   4 GiB    # enough",
      "-            backup: {every: 1d,   keep: 7}",
      "+            memory:   8 GiB    # enough",
      "+            backup: {every: 1d,   keep: 7}",
      "+            cpus: 4",
    ]);
  });

  test("of an entry of nothing stand in braces", () => {
    expect(difference(odd, change("bare", { disk: "1 TiB", cpus: 4 }))).toEqual([
      "-       bare:",
      "+       bare: { disk: 1 TiB, cpus: 4 }",
    ]);
  });

  test("in braces stay in them", () => {
    const text = "config:\n  project-vms:projects: {demo: { memory: 1 GiB } , b: {}}\n";
    expect(withSettings(text, file, "demo", { memory: "2 GiB", rebuild: "why, then" })).toBe(
      'config:\n  project-vms:projects: {demo: { memory: 2 GiB, rebuild: "why, then" } , b: {}}\n',
    );
  });

  test.each(["demo", "twin"])("are refused where others would change with them: %s", (name) => {
    expect(messageOf(() => change(name, { cpus: 1 }))).toContain(`projects.${name}.cpus: must be written such that`);
  });
});

describe("a project that goes", () => {
  const remove = (name: string, text = odd) => withoutEntry(text, file, name);

  test("takes its lines along, and the comments in it", () => {
    expect(difference(odd, remove("webapp"))).toEqual([
      "-       'webapp':",
      "-            memory:   4 GiB    # enough",
      "-            backup: {every: 1d,   keep: 7}",
      "-            # cpus: 8",
    ]);
    expect(difference(odd, remove("bare"))).toEqual(["-       bare:"]);
  });

  test("leaves braces when it was the last one", () => {
    const text = "config:\n  project-vms:projects: # all\n    # one\n    demo: {a: 1}\n  a:b: c\n";
    expect(remove("demo", text)).toBe("config:\n  project-vms:projects: {} # all\n    # one\n  a:b: c\n");
  });

  test.each([
    ["{demo: {}, b: {}, c: {}}", "demo", "{b: {}, c: {}}"],
    ["{demo: {}, b: {}, c: {}}", "b", "{demo: {}, c: {}}"],
    ["{ demo: {}, b: {}, c: {} }", "c", "{ demo: {}, b: {} }"],
    ["{ demo: {} }", "demo", "{}"],
  ])("from %s: %s", (before, name, after) => {
    const text = (projects: string) => `config:\n  project-vms:projects: ${projects} # all\n`;
    expect(remove(name, text(before))).toBe(text(after));
  });

  test("and that others are written after is refused", () => {
    expect(messageOf(() => remove("demo"))).toContain("change it by hand");
  });

  test("that came just before leaves the file as it was", () => {
    expect(remove("myapp", withEntry(odd, file, "myapp", { cpus: 2 }))).toBe(odd);
  });
});

test("the salt that Pulumi notes is all that changes, though it prints the file again", () => {
  const text = "# mine\nconfig:\n    project-vms:projects: {demo:   {}}\n";
  const printed = "config:\n  project-vms:projects:\n    demo: {}\nencryptionsalt: v1:abc=\n";
  expect(withSalt(text, printed)).toBe(`${text}encryptionsalt: v1:abc=\n`);
  expect(withSalt("config: {a:b: c}\n", printed)).toBe(printed);
});

test("a file is written whole, through a link, with the owner and the rights that it had", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "stack-file-"));
  const [real, link] = [path.join(dir, "real.yaml"), path.join(dir, "link.yaml")];
  writeFileSync(real, "old");
  chmodSync(real, 0o664); // which a umask would cut
  // In CI, where this runs as root.
  const owner = process.getuid?.() === 0 ? 1234 : statSync(real).uid;
  chownSync(real, owner, statSync(real).gid);
  symlinkSync(real, link);
  writeWhole(link, "new");
  const { mode, uid } = statSync(real);
  expect([readFileSync(real, "utf8"), mode & 0o777, uid]).toEqual(["new", 0o664, owner]);
  expect(readdirSync(dir).sort()).toEqual(["link.yaml", "real.yaml"]);
  rmSync(dir, { recursive: true });
});
