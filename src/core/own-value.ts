/**
 * A value by a key that a user chose, which may be the name of something that every object has.
 *
 * @example ownValue({}, "constructor") // undefined
 */
export function ownValue<T>(map: Record<string, T> | undefined, key: string): T | undefined {
  return map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined;
}
