import { type CorpusFile, config, demo, projects } from "./corpus-file.ts";
import { unlike } from "./unlike-files.ts";

/** The text `[secret]`, encrypted by the passphrase {@link passphrase}. */
const secret = "{secure: v1:RzahtJLJk4Mi/iE9:yv2mlbZQdf2/XiSvnydeoXRf7Qoes7lH}";
const salt = "encryptionsalt: v1:A9dM1ml9llE=:v1:bLD99C2CnwHMVSgR:RSSLoiZE5k/1UFLhoFz7yhoIhrzobg==\n";

export const passphrase = "corpus";

const withSecret = (lines: string) => salt + config(lines);

const utf16 = (text: string, isBig = false) => {
  const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
  return isBig ? bytes.swap16() : bytes;
};

const namespaces: CorpusFile[] = [
  {
    name: "keys with the namespace",
    text: config("project-vms:defaults: {cpus: 2}\nproject-vms:projects: {demo: {}}"),
  },
  { name: "keys without namespace", text: config("projects: {demo: {}}\ndefaults: {cpus: 2}") },
  { name: "keys with and without namespace", text: config("projects: {demo: {}}\nproject-vms:defaults: {cpus: 2}") },
  { name: "keys as they were once written", text: config("project-vms:config:projects: {demo: {}}") },
  { name: "keys of others", text: config(`aws:region: eu-west-1\ntailscale:apiKey: ${'"x"'}\n${demo}`) },
  { name: "a key of three steps", text: config(`aws:other:region: x\n${demo}`) },
  { name: "a key of four steps", text: config(`a:b:c:d: x\n${demo}`) },
  { name: "a number as a key of the config", text: config(`1: x\n${demo}`) },
  { name: "another project's name, keys without namespace", text: config("projects: {demo: {}}"), projectName: "mine" },
  { name: "another project's name, keys with ours", text: config(demo), projectName: "mine" },
  { name: "a quoted key with blanks around the colon", text: config('"project-vms:projects" : {demo: {}}') },
];

const merges: CorpusFile[] = [
  {
    name: "a merge key",
    text: `x: &small {memory: 1 GiB, cpus: 1}\n${projects("webapp: {<<: *small}\napi:\n  <<: *small")}`,
  },
  {
    name: "a merge key under own values",
    text: `x: &s {cpus: 1, disk: 1 GiB}\n${projects("a: {cpus: 4, <<: *s}\nb: {<<: *s, cpus: 4}")}`,
  },
  {
    name: "a merge of several",
    text: `x: &a {cpus: 1}\ny: &b {cpus: 2, disk: 9 GiB}\n${projects("web: {<<: [*a, *b]}")}`,
  },
  { name: "a merge of a merge", text: `x: &a {cpus: 1}\ny: &b {<<: *a, disk: 9 GiB}\n${projects("web: {<<: *b}")}` },
  { name: "a merge of a map written there", text: projects("web: {<<: {cpus: 3}, disk: 9 GiB}") },
  {
    name: "a merge into the projects",
    text: `x: &all {api: {}, web: {cpus: 2}}\n${projects("<<: *all\nweb: {}\ndemo: {}")}`,
  },
  {
    name: "a merge into the config",
    text: `x: &all\n  project-vms:projects: {demo: {}}\nconfig:\n  <<: *all\n  project-vms:defaults: {cpus: 2}\n`,
  },
  { name: "a merge of a list", text: `x: &l [1]\n${projects("web: {<<: *l}")}` },
  { name: "a merge of nothing", text: projects("web: {<<: }") },
  { name: "two merge keys", text: `x: &a {cpus: 1}\ny: &b {disk: 9 GiB}\n${projects("web:\n  <<: *a\n  <<: *b")}` },
  { name: "a quoted merge key", text: `x: &a {cpus: 1}\n${projects('web: {"<<": *a}')}` },
  { name: "an alias of an entry", text: projects("demo: &d {cpus: 1}\ntwin: *d") },
  { name: "an alias of a value", text: projects("demo: {memory: &m 4 GiB, disk: *m}") },
  { name: "an alias of the projects", text: `x: &all {demo: {}}\n${config("project-vms:projects: *all")}` },
  { name: "an alias as a key", text: `x: &k demo\n${projects("*k : {cpus: 1}")}` },
  { name: "an anchor that is set twice", text: `x: &a {cpus: 1}\ny: &a {cpus: 2}\n${projects("web: *a")}` },
  { name: "an alias of nothing", text: projects("web: *nothing") },
  { name: "an anchor that holds itself", text: projects("web: &w {image: *w}") },
];

const secrets: CorpusFile[] = [
  { name: "a secret as a whole key", text: withSecret(`project-vms:headscaleApiKey: ${secret}\n${demo}`) },
  { name: "a secret in a list", text: withSecret(`project-vms:sshKeys: [${secret}, plain]\n${demo}`) },
  { name: "a secret in a map", text: withSecret(`project-vms:host: {uri: ${secret}, storageDir: /srv}\n${demo}`) },
  { name: "a secret as an entry", text: withSecret(`project-vms:projects: {demo: ${secret}}`) },
  { name: "a secret as all projects, without namespace", text: withSecret(`projects: ${secret}`) },
  {
    name: "a secret deep in an entry",
    text: withSecret(`project-vms:projects: {demo: {backup: {every: ${secret}, keep: 7}}}`),
  },
  {
    name: "a secret behind an alias",
    text: `${salt}x: &s ${secret}\n${config(`project-vms:headscaleApiKey: *s\n${demo}`)}`,
  },
  { name: "a secret merged in", text: `${salt}x: &s {memory: ${secret}}\n${projects("demo: {<<: *s}")}` },
  { name: "a secret of another namespace", text: withSecret(`tailscale:apiKey: ${secret}\n${demo}`) },
  { name: "a map with secure and more", text: config(`project-vms:x: {secure: a, more: b}\n${demo}`) },
  { name: "a map whose secure is a number", text: config(`project-vms:x: {secure: 5}\n${demo}`) },
];

const ofProject: CorpusFile[] = [
  {
    name: "a default of Pulumi.yaml",
    text: config(demo),
    project: "config:\n  project-vms:sshKeys:\n    default: [one]\n",
  },
  {
    name: "a default that the stack overrides",
    text: config(demo),
    project: "config:\n  project-vms:projects:\n    default: {other: {}}\n",
  },
  {
    name: "projects of Pulumi.yaml alone",
    text: "config: {}\n",
    project: "config:\n  projects:\n    default: {other: {cpus: 2}}\n",
  },
  {
    name: "projects of Pulumi.yaml, and no file",
    text: "",
    project: "config:\n  projects:\n    default: {other: {cpus: 2}}\n",
  },
  {
    name: "a short default",
    text: config(demo),
    project: "config:\n  headscaleApiKey: text\n  note: 5\n  on: true\n  list: [1, a]\n",
  },
  { name: "a short value of others", text: config(demo), project: "config:\n  aws:region: eu-west-1\n" },
  {
    name: "a default at a place in a map",
    text: config(`host: {storageDir: /srv}\n${demo}`),
    project: "config:\n  host.uri:\n    default: qemu:///system\n",
  },
  {
    name: "a default at a place that is there",
    text: config(`host: {uri: a}\n${demo}`),
    project: "config:\n  host.uri:\n    default: b\n",
  },
  {
    name: "a default at a place in nothing",
    text: config(demo),
    project: "config:\n  host.uri:\n    default: qemu:///system\n",
  },
  {
    name: "a type alone",
    text: config(demo),
    project: "config:\n  sshKeys:\n    type: array\n    items: {type: string}\n",
  },
  { name: "stackConfigDir", text: config(demo), project: "stackConfigDir: stacks\n", dir: "stacks" },
  {
    name: "the old name of stackConfigDir",
    text: config("projects: {demo: {}}"),
    project: "config: stacks/deep\n",
    dir: "stacks/deep",
  },
];

const shapes: CorpusFile[] = [
  {
    name: "lines that end as on Windows",
    text: projects("demo:\n  cpus: 2\n  rebuild: |\n    why\n    not").replaceAll("\n", "\r\n"),
  },
  { name: "a byte order mark", text: `\ufeff${config(demo)}` },
  { name: "UTF-16, little end first", text: utf16(config(demo)) },
  { name: "UTF-16, big end first", text: utf16(config(demo), true) },
  { name: "flow style throughout", text: '{config: {"project-vms:projects": {demo: {cpus: 2}, "api": {}}}}' },
  { name: "JSON", text: '{\n\t"config": {\n\t\t"project-vms:projects": {"demo": {"cpus": 2}}\n\t}\n}\n' },
  {
    name: "comments everywhere",
    text: "# a\nconfig: # b\n  # c\n  project-vms:projects: # d\n    # e\n    demo: {} # f\n# g\n",
  },
  { name: "quoted keys", text: projects("'demo': {\"cpus\": 2}\n\"a\\u0062c\": {'memory': '4 GiB'}") },
  {
    name: "null values",
    text: config("project-vms:host:\nproject-vms:image: ~\nproject-vms:projects: {demo: , api: ~, web: null}"),
  },
  { name: "a duplicate project", text: projects("demo: {}\ndemo: {cpus: 2}") },
  { name: "a duplicate key of the config", text: config(`${demo}\n${demo}`) },
  { name: "a duplicate key with and without quotes", text: projects('demo: {}\n"demo": {cpus: 2}') },
  { name: "two documents", text: `${config(demo)}---\n${config("project-vms:projects: {other: {}}")}` },
  { name: "a document with marks and directive", text: `%YAML 1.2\n---\n${config(demo)}...\n` },
  { name: "an empty file", text: "" },
  { name: "a file of comments", text: "# nothing\n" },
  { name: "a config of nothing", text: "config:\n" },
  { name: "a config that is a list", text: "config: [a]\n" },
  { name: "a file that is a text", text: "hello\n" },
  { name: "a tab as indentation", text: "config:\n\tproject-vms:projects: {demo: {}}\n" },
  { name: "what does not parse", text: "config: {a: [\n" },
  { name: "projects as a text of JSON", text: config(`project-vms:projects: '{"demo": {"cpus": 2}}'`) },
  {
    name: "keys beside the config",
    text: `encryptionsalt: v1:abc\nsecretsprovider: passphrase\nother: [1]\n${config(demo)}`,
  },
  { name: "a number as a key of the file", text: `1: a\n${config(demo)}` },
  {
    name: "words of other YAML",
    text: projects("on: {autostart: yes}\nno: {autostart: off}\ny: {autostart: True}\nn: {autostart: FALSE}"),
  },
  {
    name: "numbers of all kinds",
    text: projects(
      "demo: {a: 010, b: 0o10, c: 0x1F, d: 0b11, e: 1_000, f: 1.50, g: 1e3, h: .5, i: 08, j: +7, k: -0x1f, l: 1:30, m: 0777_1, n: 1., o: -0, p: 0XFF}",
    ),
  },
  {
    name: "numbers as keys of the config",
    text: config(
      "project-vms:a: 010\nproject-vms:b: 1.50\nproject-vms:c: 1e21\nproject-vms:d: true\nproject-vms:e: '5'\nproject-vms:f: 1e-7",
    ),
  },
  {
    name: "numbers that are too big",
    text: config(
      "project-vms:a: 12345678901234567890\nproject-vms:b: 123456789012345678901234567890\nproject-vms:c: 1e999",
    ),
  },
  { name: "no number", text: projects("demo: {cpus: .nan}") },
  { name: "infinite", text: config("project-vms:x: .inf") },
  {
    name: "dates",
    text: projects(
      "demo: {rebuild: 2026-11-21}\nb: {rebuild: 2026-11-21T10:00:00Z}\nc: {rebuild: 2026-1-2 3:04:05.50}\nd: {rebuild: 2026-02-30}\ne: {rebuild: '2026-11-21'}\nf: {rebuild: 2026-11-21 10:00:00Z}\ng: {rebuild: 2026-11-21T10:00:00+02:00}",
    ),
  },
  { name: "what an update asks for", text: projects("demo: {rebuild: on 2026-11-21T10:00:00Z}") },
  { name: "names that are no texts", text: projects("1234: {}\ntrue: {}\n1.50: {}\n010: {}\n2026-11-21: {}\n~: {}") },
  { name: "a name that is a list", text: projects("? [a]\n: {}") },
  {
    name: "tags",
    text: projects('demo: {cpus: !!int "5", memory: !!str 4, disk: !mine 5, image: !!binary YWJj, f: !!float 1}'),
  },
  {
    name: "texts over several lines",
    text: projects("demo:\n  rebuild: >-\n    one\n    two\n  memory: 'a\n    b'\n  disk: \"a\\\n    b\""),
  },
  { name: "special characters", text: projects('demo: {rebuild: "<a> & \\u2028 é \\x01"}') },
  { name: "__proto__ and constructor", text: projects("__proto__: {cpus: 1}\nconstructor: {cpus: 2}") },
  { name: "names out of order", text: projects("web: {}\napi: {}\nB: {}\n10: {}\n9: {}") },
  { name: "a directive of YAML 1.1", text: `%YAML 1.1\n---\n${projects("demo: {autostart: yes, cpus: 1:30}")}` },
  { name: "bytes that are no UTF-8", text: Buffer.from(`${config(demo)}# B\xfcro\n`, "latin1") },
  { name: "a control character", text: `${config(demo)}# \x1b[31m\n` },
  { name: "letters of all kinds", text: projects('demo: {rebuild: "B\u00fcro \u{1f600} \u4e2d"}') },
  { name: "a colon without a blank", text: projects("demo: {cpus:2, memory: 4 GiB,}") },
  { name: "a list at the indentation of its key", text: config(`project-vms:sshKeys:\n- one\n- \n- three\n${demo}`) },
  { name: "quotes in quotes", text: projects("demo: {rebuild: 'it''s', disk: \"a\\/b\\te\\u00e9\"}") },
  { name: "a text over several lines without quotes", text: projects("demo:\n  rebuild: one\n    two\n\n    three") },
  { name: "a text with its own indentation", text: projects("demo:\n  rebuild: |2-\n      two\n    one\n") },
  { name: "a reserved character", text: projects("demo: {rebuild: @home}") },
  { name: "a hash without a blank", text: projects("demo: {rebuild: a#b}\napi: # c\n  cpus: 2#d") },
  { name: "a merge whose key is null there", text: `x: &s {cpus: 1, disk: 1 GiB}\n${projects("a: {<<: *s, cpus: }")}` },
];

/**
 * Stack files as people and tools write them. What Pulumi's engine gives a program of each stands in answers.json, recorded by
 * record.ts; the reader of the command line must come to the same.
 */
export const corpus: CorpusFile[] = [...namespaces, ...merges, ...secrets, ...ofProject, ...shapes, ...unlike];
