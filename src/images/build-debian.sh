#!/bin/bash
# Builds a Debian image (qcow2, one ext4 root) that boots by BIOS and by UEFI, from a recipe. Called by build.ts; as root.
#
#   WORK       empty folder for everything in between; the caller makes it and takes it away
#   OUTPUT     the qcow2 to write
#   MIRROR     Debian mirror, SUITE its suite, PACKAGES the packages, separated by spaces
#   CHECK_VALID_UNTIL   false where the mirror may be older than Debian says
#   DISK_MIB   the image's virtual size
#   CLAUDE_CODE, TAILSCALE   versions of what Debian does not have, and is locked in claude-code/ and tailscale/
#
# No loop device, and no mount outside of this script's own namespace: mke2fs fills the filesystem straight from the
# tree, so an interrupted build leaves nothing behind but $WORK. A line "==> name" on stdout opens a stage; all else is
# a step's own output.
set -euo pipefail

if [ "${IN_NAMESPACE:-}" != yes ]; then
  # In namespaces of its own, whatever this build started or mounted ends with it, however it ends; and it ends with
  # whoever started it, even if that was killed.
  IN_NAMESPACE=yes exec setpriv --pdeathsig KILL -- \
    unshare --mount --pid --fork --kill-child=KILL --mount-proc -- "$0" "$@"
fi

HERE=$(cd "$(dirname "$0")" && pwd)
TREE=${WORK:?}/tree
DISK=$WORK/disk.raw
ESP=2048 # first sector of the EFI system partition: 1 MiB, the room before it is GRUB's for BIOS
START=18432 # first sector of the root partition, which is the first by number and the last on the disk, where it can grow
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive TMPDIR=$WORK

stage() { echo "==> $*"; }

in_tree() {
  # A home that nobody else can put a program's configuration into: the tree's /tmp is open to all who can get to $WORK.
  chroot "$TREE" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root/.build LC_ALL=C.UTF-8 "$@"
}

install_packages() {
  stage "Debian $SUITE"
  # What this machine's apt logs in to the mirror with: apt reads it from there, and it gets into no argument and not into the image.
  local logins login_files
  eval "$(apt-config shell logins Dir::Etc::netrc/f login_files Dir::Etc::netrcparts/d)"
  # Signed by Debian's own keys, whatever else this machine's apt trusts.
  # No recommends, no manual pages, no translations: the image is read by every boot.
  mmdebstrap --mode=root --variant=minbase --format=directory --include="${PACKAGES// /,}" \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --aptopt="Acquire::Check-Valid-Until \"$CHECK_VALID_UNTIL\"" --aptopt='APT::Install-Recommends "false"' \
    --aptopt="Dir::Etc::netrc \"$logins\"; Dir::Etc::netrcparts \"$login_files\"" \
    --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$SUITE" "$TREE" "$MIRROR"
}

install_tailscale() {
  stage "Tailscale $TAILSCALE"
  (
    cd "$HERE/tailscale"
    # GOFLAGS and a workspace of the user's own could change what is built; go.sum pins what it is built from.
    CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off \
      go build -trimpath -buildvcs=false -mod=readonly -tags ts_include_cli -o "$TREE/usr/sbin/tailscaled" \
      -ldflags "-s -w -X tailscale.com/version.shortStamp=$TAILSCALE -X tailscale.com/version.longStamp=$TAILSCALE" \
      tailscale.com/cmd/tailscaled
  )
  ln -s ../sbin/tailscaled "$TREE/usr/bin/tailscale" # one binary is both, by its name
}

install_claude_code() {
  stage "Claude Code $CLAUDE_CODE"
  local lib=$TREE/usr/local/lib/claude-code
  mkdir "$lib"
  cp --no-preserve=mode,ownership,timestamps "$HERE"/claude-code/package.json "$HERE"/claude-code/package-lock.json "$lib"
  # From outside: inside the tree, npm would not know the certificates and proxies that this machine trusts. It puts nothing in place
  # whose digest is not the lock file's, and no package's script is run: all that Claude Code's own does is to copy this program.
  npm ci --prefix "$lib" --cache "$WORK/npm" --ignore-scripts --no-fund --no-audit --no-update-notifier
  ln -s ../lib/claude-code/node_modules/@anthropic-ai/claude-code-linux-x64/claude "$TREE/usr/local/bin/claude"
}

configure() {
  stage "configuration"
  # Modes as in a fresh checkout, whatever this one's umask was.
  cp -r --no-preserve=ownership,timestamps "$HERE/rootfs" "$WORK/rootfs"
  chmod -R u=rwX,go=rX "$WORK/rootfs"
  cp -r "$WORK/rootfs/." "$TREE/"
  cat >"$TREE/etc/apt/sources.list.d/debian.sources" <<END
Types: deb
URIs: $MIRROR
Suites: $SUITE
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  rm -f "$TREE/etc/apt/sources.list" "$TREE"/etc/apt/apt.conf.d/99mmdebstrap "$TREE"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
  : >"$TREE/etc/environment"
  mkdir "$TREE/root/.build"
  mount -t proc proc "$TREE/proc"
  in_tree passwd --lock root
  in_tree systemctl enable --quiet systemd-networkd systemd-resolved ssh docker nix-daemon.socket tailscaled grow-root \
    cloud-init-again
  trim_boot
  in_tree update-initramfs -c -k all
  ln -sfn "boot/$(basename "$TREE"/boot/initrd.img-*)" "$TREE/initrd.img"
  rm -f "$TREE/vmlinuz.old"
  # What this image is for must be in it and run: fail here, not in everybody's first boot.
  in_tree claude --version
  in_tree tailscale version
  in_tree nix --version
  umount "$TREE/proc"
  ln -sf ../run/systemd/resolve/stub-resolv.conf "$TREE/etc/resolv.conf"
}

# What an emulated boot would wait for, or be slowed down by, without any use for it.
trim_boot() {
  in_tree systemctl disable --quiet systemd-networkd-wait-online.service nix-daemon.service getty@tty1.service \
    apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service systemd-pstore.service
  in_tree systemctl mask --quiet modprobe@drm.service modprobe@efi_pstore.service
  # Debian holds back all other services, and what waits for the network, until cloud-init is nearly through. What has
  # to wait for it (ssh, logins) says so itself; Docker need not.
  for unit in cloud-init-local cloud-init-network; do
    sed -e '/^Before=sysinit.target$/d' -e '/^Before=network-online.target$/d' \
      "$TREE/usr/lib/systemd/system/$unit.service" >"$TREE/etc/systemd/system/$unit.service"
  done
}

clean() {
  stage "cleaning"
  # Identity is made at first boot, never shared by all that boot this image.
  rm -f "$TREE"/etc/ssh/ssh_host_* "$TREE"/var/lib/dbus/machine-id "$TREE"/etc/hostname
  : >"$TREE/etc/machine-id"
  rm -rf "$TREE"/var/lib/apt/lists/* "$TREE"/var/cache/apt/* "$TREE"/var/cache/debconf/*-old "$TREE"/var/log/* \
    "$TREE"/root/.npm "$TREE"/root/.build "${TREE:?}"/dev/* "${TREE:?}"/run/*
  find "$TREE/tmp" "$TREE/var/tmp" -mindepth 1 -delete
  mkdir -p "$TREE/var/lib/apt/lists/partial" "$TREE/var/cache/apt/archives/partial"
  # Caches (ldconfig, journal catalog, users) are up to date: without these files the first boot makes them all anew.
  touch "$TREE/etc/.updated" "$TREE/var/.updated"
}

write_disk() {
  stage "filesystem"
  truncate --size="${DISK_MIB}M" "$DISK"
  sfdisk --quiet --label dos "$DISK" <<END
1 : start=$START, type=83, bootable
2 : start=$ESP, size=$((START - ESP)), type=ef
END
  # Only features that GRUB 2.06 reads. Prezeroed: a new sparse file is all zeros, the guest has nothing left to zero.
  mke2fs -q -t ext4 -L root -O ^metadata_csum_seed,^orphan_file \
    -E "offset=$((START * 512)),assume_storage_prezeroed=1" -d "$TREE" "$DISK" "$((DISK_MIB - START / 2048))M"
  install_grub_for_bios
  install_grub_for_uefi
}

GRUB_MODULES="part_msdos ext2 normal configfile linux echo serial terminal"

install_grub_for_bios() {
  # shellcheck disable=SC2086
  grub-mkimage --format=i386-pc --output="$WORK/core.img" --prefix='(hd0,msdos1)/boot/grub' biosdisk $GRUB_MODULES
  # The boot sector's first 440 bytes are code, the rest is the partition table; the next stage is expected in sector 1.
  dd if=/usr/lib/grub/i386-pc/boot.img of="$DISK" bs=440 count=1 conv=notrunc status=none
  dd if="$WORK/core.img" of="$DISK" bs=512 seek=1 conv=notrunc status=none
  [ "$(stat -c %s "$WORK/core.img")" -le $(((ESP - 1) * 512)) ]
}

# At the path that firmware without boot entries of its own looks at, as a VM's is whose root was made anew.
install_grub_for_uefi() {
  local esp=$WORK/esp.img
  # shellcheck disable=SC2086
  grub-mkimage --format=x86_64-efi --output="$WORK/bootx64.efi" --prefix='(hd0,msdos1)/boot/grub' $GRUB_MODULES
  truncate --size=$(((START - ESP) * 512)) "$esp"
  mkfs.fat -n ESP "$esp"
  mmd -i "$esp" ::/EFI ::/EFI/BOOT
  mcopy -i "$esp" "$WORK/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
  dd if="$esp" of="$DISK" bs=512 seek=$ESP conv=notrunc,sparse status=none
}

write_image() {
  stage "qcow2"
  qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd -W "$DISK" "$OUTPUT"
}

# One function, so that an edit of this file does not reach into a build that is running.
main() {
  install_packages
  install_tailscale
  install_claude_code
  configure
  clean
  write_disk
  write_image
  exit
}
main
