#!/bin/sh
# How the scripts of this folder refuse, for refusal.ts to read. Each of them evaluates this text.

# What is wrong, which rule it breaks, what to do: a line each, whatever a name in them holds.
fail() {
  printf 'error: %s: %s\nremedy: %s\n' "$(one_line "$1")" "$(one_line "$2")" "$(one_line "$3")" >&2
  exit 1
}

# Others name files: what does more than be seen is none of the name's.
one_line() { printf %s "$1" | tr '\001-\037\177' '?'; }

# A word as a POSIX shell reads it back, and virsh: in a remedy a name is not to end the command.
shell_word() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
