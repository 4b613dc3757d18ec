import { join } from "node:path";

/** The port on which headscale listens for nodes and for its API. */
export const headscalePort = 8080;

const stunPort = 3478;

/** Where a headscale is and what it keeps. */
export interface HeadscalePlace {
  /** All that it keeps: keys, database, socket. */
  dir: string;
  /** The address that it gives as its own, which guests and nodes reach. */
  address: string;
  /** The tailnet's domain. */
  domain: string;
}

/**
 * headscale's configuration: its own relay (DERP) and STUN, and nobody outside is asked anything.
 * Its fields: https://github.com/juanfont/headscale/blob/v0.27.1/config-example.yaml
 */
export function headscaleConfig({ dir, address, domain }: HeadscalePlace): object {
  return {
    server_url: `http://${address}:${headscalePort}`,
    // Also on its other addresses: nodes that reach it by one of them take it for another server.
    listen_addr: `0.0.0.0:${headscalePort}`,
    metrics_listen_addr: "127.0.0.1:0",
    grpc_listen_addr: "127.0.0.1:0",
    noise: { private_key_path: join(dir, "noise.key") },
    prefixes: { v4: "100.64.0.0/10", v6: "fd7a:115c:a1e0::/48", allocation: "sequential" },
    derp: {
      server: {
        enabled: true,
        region_id: 900,
        region_code: "test",
        region_name: "test",
        verify_clients: true,
        stun_listen_addr: `${address}:${stunPort}`,
        private_key_path: join(dir, "derp.key"),
        automatically_add_embedded_derp_region: true,
        ipv4: address,
      },
      urls: [],
      paths: [],
      auto_update_enabled: false,
    },
    disable_check_updates: true,
    database: { type: "sqlite", sqlite: { path: join(dir, "headscale.sqlite"), write_ahead_log: true } },
    log: { level: "info", format: "text" },
    policy: { mode: "file", path: join(dir, "policy.json") },
    // Only the tailnet's own names: all else is for the machine's own resolver.
    dns: { magic_dns: true, base_domain: domain, override_local_dns: false, nameservers: { global: [] } },
    unix_socket: join(dir, "headscale.sock"),
    unix_socket_permission: "0700",
    logtail: { enabled: false },
    // Nodes hear of each other at once, not after 0.8 s.
    tuning: { batch_change_delay: "20ms" },
  };
}

/** Whose tags these are, who reaches whom, and who may log in where by Tailscale SSH. */
export interface Policy {
  tags: string[];
  /** The tag of nodes that may log in to nodes with `sshTo`. */
  sshFrom: string;
  sshTo: string;
  /** The accounts that they may log in as: names, or `autogroup:nonroot`. */
  sshUsers: string[];
}

/** headscale's policy file. @param user the headscale user who owns the tags */
export function headscalePolicy(policy: Policy, user: string): object {
  return {
    tagOwners: Object.fromEntries(policy.tags.map((tag) => [tag, [`${user}@`]])),
    acls: [{ action: "accept", src: ["*"], dst: ["*:*"] }],
    ssh: [{ action: "accept", src: [policy.sshFrom], dst: [policy.sshTo], users: policy.sshUsers }],
  };
}
