/** The version of the engine, its CLI, its SDK and its Node.js language host: they are released together. */
export const pulumiVersion = "3.250.0";

/** The version of the dynamic Terraform bridge plugin (`resource terraform-provider`). */
export const bridgeVersion = "1.1.3";

/** The version of the command plugin, and of `@pulumi/command`. */
export const commandVersion = "1.2.1";

/** The version of the Tailscale plugin, and of `@pulumi/tailscale`. */
export const tailscaleVersion = "0.29.1";

/** The version of terraform-provider-libvirt, and so of the generated `@pulumi/libvirt`. */
export const libvirtVersion = "0.8.3";
