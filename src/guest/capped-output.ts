/**
 * The most that a program's standard output is handed over of, in bytes. libvirt passes on no answer of an agent above 4 MiB, both
 * outputs in base64 in it ("Unable to encode message payload"), and above 10 MiB it gives the agent up until the VM's next start:
 * this and {@link mostErrors} are 3.4 MiB in base64, whatever the program writes.
 */
export const mostOutput = 2 * 1024 * 1024;

/** The most that its standard error is handed over of, in bytes. */
export const mostErrors = 512 * 1024;

/**
 * Runs its words and passes on of both outputs what is kept, and one byte more, by which more is told from exactly so much. The rest
 * is read and dropped: a program with a full or a closed pipe would hang or die. Its exit code, or 128 and its signal, is ours; how
 * the shell itself words a signal belongs into no output. 3 and 4 are our own outputs, 5 the program's pipe of output, 6 takes its
 * exit code; none is left open in the program, or one that goes on in the background would hold us up by it.
 */
const script = `
keep() { head -c "$1"; exec cat >/dev/null; }
exec 3>&1 4>&2
code=$(
  {
    {
      { (exec "$@" 2>&1 >&5 3>&- 4>&- 5>&- 6>&-); echo $? >&6; } 2>/dev/null | keep ${mostErrors + 1} >&4
    } 5>&1 | keep ${mostOutput + 1} >&3
  } 6>&1
)
exit "\${code:-1}"`;

/** The words that run a program in a guest so that what it writes cannot be more than its agent can hand over. Pure. */
export function capped(command: [string, ...string[]]): [string, ...string[]] {
  return ["/bin/sh", "-c", script, "sh", ...command];
}
