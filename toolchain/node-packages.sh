#!/bin/bash
# Installs the Node packages as package-lock.json has them, and compiles the libvirt SDK.
set -euo pipefail

if ! node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'; then
  echo "Node $(node --version 2>/dev/null || echo "is missing:") version 20.19 or newer is needed" >&2
  exit 1
fi

echo "installing Node packages"
# No package's script is run: none is needed, and each could do anything. All are wanted, whatever NODE_ENV or npm_config_* say.
npm ci --ignore-scripts --include=dev --include=optional --no-dry-run --no-global --no-audit --no-fund --loglevel=error
# What the SDK's own install script would do.
node_modules/.bin/tsc -p sdks/libvirt
cp sdks/libvirt/package.json sdks/libvirt/bin/
