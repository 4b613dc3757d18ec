/**
 * A script of data/ for a machine of a test's own: what is to be mounted there is in `fstab` and `units` of a folder, what is mounted in
 * its `mounts`.
 *
 * @param folder whose path has nothing that a shell would read
 * @example onMachine(scriptText("mounted.sh"), "/tmp/machine")
 */
export function onMachine(script: string, folder: string): string {
  const places = {
    "FSTAB=/etc/fstab": `FSTAB=${folder}/fstab`,
    'UNITS="/etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system"': `UNITS=${folder}/units`,
    "MOUNTS=/proc/self/mountinfo": `MOUNTS=${folder}/mounts`,
  };
  return Object.entries(places).reduce((text, [place, own]) => {
    if (!text.includes(place)) throw new Error(`the script has no ${place}`);
    return text.replaceAll(place, own);
  }, script);
}
