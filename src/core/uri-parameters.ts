/**
 * What stands behind the `?` of a libvirt's URI, as libvirt reads it: a `+` is no blank there, as it is in a form's.
 *
 * @example uriParameters("qemu:///system?socket=/srv/c++/sock").get("socket") // "/srv/c++/sock"
 */
export const uriParameters = (uri: string | URL) => new URLSearchParams(new URL(uri).search.replaceAll("+", "%2B"));
