#!/bin/bash
# Installs the Debian packages that are missing, and those that are named; does nothing, at once, when there are none.
set -euo pipefail

packages=(
  libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils dnsmasq-base iptables iproute2
  xsltproc                                # the libvirt provider shapes domains with it
  xorriso                                 # makes the seeds for cloud-init
  openssh-client netcat-openbsd           # logging in to the VMs of the embedded host
  ovmf                                    # firmware for VMs with `firmware: uefi`
  mmdebstrap e2fsprogs fdisk              # building the base image
  grub2-common grub-pc-bin grub-efi-amd64-bin dosfstools mtools
  "$@"
)

missing=()
for package in "${packages[@]}"; do
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
  echo "These Debian packages are needed and there is no apt-get here: ${missing[*]}" >&2
  exit 1
fi
if ((EUID != 0)); then
  echo "These Debian packages are missing: ${missing[*]}" >&2
  echo "Install them: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
# The package lists may be old or empty: they are fetched only if the first try fails.
if ! install && ! { apt-get update >"$log" 2>&1 && install; }; then
  tail -n 15 "$log" >&2
  echo "apt-get could not install them: see above" >&2
  exit 1
fi
