/** What this process has handed to strangers, such as the key that a guest joins its tailnet with. */
const given = new Set<string>();

/** From now on no text of a stranger's that this process prints shows this. */
export function hideSecret(secret: string): void {
  given.add(secret);
}

/** A text without what was handed to strangers, as far as that is in it as it is. */
export const withoutGivenSecrets = (text: string): string =>
  [...given].reduce((shown, secret) => shown.replaceAll(secret, "[key]"), text);
