/** What the root of a guest could answer in place of a value, by what it is about. None of it may act anywhere. */

const MiB = 2 ** 20;
const disk = "<disk type='file'><source file='/etc/shadow'/><target dev='vdz'/></disk>";

/** Texts. Where one would be right, as an address or an empty list of errors can be, nothing of it may act all the same. */
export const hostileTexts: Record<string, string> = {
  "a line break and an option of ssh": "10.77.0.5\n  ProxyCommand touch /tmp/canary",
  "a line break of Windows": "10.77.0.5\r\nProxyCommand touch /tmp/canary",
  "a carriage return": "x\rProxyCommand touch /tmp/canary",
  "a line of known_hosts": `AAAA\n@cert-authority * ssh-ed25519 AAAA`,
  "a double quote": `10.77.0.5" ProxyCommand "touch /tmp/canary`,
  "a single quote": `x' ; net-destroy default ; echo '`,
  "a comment": "10.77.0.5 # ProxyCommand none",
  "a disk in XML": `"/>${disk}<x a="`,
  "the end of the metadata": `</metadata>${disk}`,
  "the end of CDATA": `]]>${disk}`,
  "an entity": "&xxe;&#10;<!DOCTYPE x [<!ENTITY xxe SYSTEM '/etc/shadow'>]>",
  "an expression of XSLT": "{document('/etc/shadow')}",
  "a placeholder": "@node@",
  "a pattern of replace": "$&$`$'$1",
  "a shell's command": "$(touch /tmp/canary)",
  "a shell's command in backquotes": "`touch /tmp/canary`",
  "another command": "; touch /tmp/canary",
  "a pipe": "| touch /tmp/canary",
  "words of ssh": "%h %n %r %d %%",
  "a variable": ["$", "{HOME}/x"].join(""),
  "an option of ssh": "-oProxyCommand=touch /tmp/canary",
  "a long option": "--exec=touch",
  "another command of virsh": "x\nnet-destroy default",
  "an editor's key": "x\u0015net-destroy default",
  "a title of the terminal": "\u001b]0;owned\u0007",
  "a cleared screen with a line of ours": "\u001b[2J\u001b[1;1HREADY app 3s  ssh -F /evil\u001b[8m",
  "a line of ours": "x\nREADY app 3s  ssh -F /evil project-app",
  // The terminal breaks it, and wherever that is, some line begins with it.
  "a line of ours in a long line": "READY: ".repeat(100),
  "a line of ours behind wide blanks": `${"\u3000".repeat(38)}READY app 3s  ssh -F /evil project-app`,
  "an escape of eight bits": "\u009b2J\u009d0;owned\u009c",
  "a delete character": "x\u007f\u007f\u007f",
  "a zero byte": "x\0y",
  "bidirectional text": "\u202ereversed\u2066",
  "joiners and a byte order mark": "\ufeffa\u200bb\u2060",
  "a line separator": "x\u2028READY\u2029",
  "half a letter": "\ud83d",
  "invalid UTF-8, as it is read": "\ufffd\ufffd",
  "no text": "",
  "a blank": " ",
  "this machine": "127.0.0.1",
  "any machine": "0.0.0.0",
  "this machine in IPv6": "::ffff:127.0.0.1",
  "an address with a zone": "fe80::1%eth0",
  "the cloud's own address": "169.254.169.254",
  "an address of the host": "10.77.0.1",
  "another VM's address": "10.77.0.9",
  "another network's address": "192.0.2.7",
  "a path upwards": "../../../etc/passwd",
  "a name of JavaScript's": "__proto__",
  "the tailnet's name of another VM": "project-db.tail1234.ts.net",
  "a name in another tailnet": "project-app.evil.example",
  "a key that is none": "nodekey:../../v1/node/1",
  "a host key that is none": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVil x",
  "a host key with an option": "@cert-authority ssh-ed25519 AAAA",
  "11 MiB": "A".repeat(11 * MiB),
};

/** Values that are no texts. */
export const hostileOthers: Record<string, unknown> = {
  null: null,
  true: true,
  "a negative number": -1,
  "a fraction": 0.5,
  "a number beyond all integers": 2 ** 53,
  "a huge number": 1e308,
  "an empty list": [],
  "an empty map": {},
  "a list of null": [null],
  "a map of everything": { status: 1, return: 1, length: 1e9, toString: 1 },
  "a list of 100,000": Array.from({ length: 100_000 }, () => "x"),
  "a deep list": JSON.parse(`${"[".repeat(500)}${"]".repeat(500)}`),
};

export const hostileValues: Record<string, unknown> = { ...hostileTexts, ...hostileOthers };

/** Answers that are no JSON, or none that can be read. */
export const hostileAnswers: Record<string, string> = {
  nothing: "",
  "half an answer": '{"return": {"pid": 1',
  "two answers": '{"return": 1}{"return": 2}',
  "a number that is none": '{"return": NaN}',
  "a number beyond all": '{"return": 1e999}',
  "another prototype": '{"__proto__": {"return": {"pid": 7, "exited": true}}}',
  "very deep": "[".repeat(3_000_000),
  "no return": "{}",
  "a bare null": "null",
};
