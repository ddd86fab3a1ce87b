# shellcheck shell=bash disable=SC2154 # `me`, `top` and `cache` come from those who source it
# What a board boots: Debian's kernel for arm64 and the Pi's firmware, both unpacked into the cache folder;
# and the files that the kernel starts with.

kernel=$cache/kernel
firmware=$cache/firmware

unpack_kernel() {
  local package work=$cache/kernel.new
  if [ -d "$kernel" ]; then return; fi
  rm -rf "$work"
  mkdir -p "$work/debs"
  refresh_index_of arm64
  package=$(with_index_of arm64 apt-cache depends linux-image-arm64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
  [ -n "$package" ] || die "Debian's archive shows no linux-image-arm64"
  say "unpacking $package"
  (cd "$work/debs" && with_index_of arm64 apt-get -qq download "$package") || die "$package cannot be had"
  dpkg-deb -x "$work"/debs/*.deb "$work"
  rm -rf "$work/debs"
  echo "${package#linux-image-}" >"$work/version"
  /sbin/depmod -b "$work" "$(cat "$work/version")"
  publish "$work" "$kernel"
}

# What a Pi reads from the card before there is a kernel. It is not free software, so Debian keeps it
# in a part of its archive of its own. The image can do without, so it may fail: every step returns by
# itself, as `set -e` does not hold where the caller asks for the result.
unpack_firmware() {
  local work=$cache/firmware.new
  if [ -d "$firmware" ]; then return; fi
  rm -rf "$work" || return 1
  mkdir -p "$work/debs" || return 1
  refresh_index_of arm64 || return 1
  say "unpacking raspi-firmware"
  if ! (cd "$work/debs" && with_index_of arm64 apt-get -qq download raspi-firmware); then
    say "Debian's archive shows no raspi-firmware (its part non-free-firmware)"
    return 1
  fi
  dpkg-deb -x "$work"/debs/*.deb "$work" || return 1
  rm -rf "$work/debs" || return 1
  publish "$work" "$firmware"
}

kernel_version() { cat "$kernel/version"; }
kernel_image() { echo "$kernel/boot/vmlinuz-$(kernel_version)"; }

# copy_modules FOLDER MODULE…: these, and those that they need, into FOLDER/modules, where `order`
# names them in the order of their needs.
copy_modules() {
  local root=$1 version module
  shift
  version=$(kernel_version)
  mkdir -p "$root/modules"
  for module in "$@"; do
    /sbin/modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }' ||
      die "the kernel $version has no module $module"
  done | awk '!seen[$0]++' | while read -r module; do
    cp "$module" "$root/modules/"
    echo "/modules/${module##*/}"
  done >"$root/modules/order"
}

# initial_files FOLDER: them as the archive that the kernel unpacks at its start, on standard output. All
# is root's, and as old as SOURCE_DATE_EPOCH, if that is set: the same files make the same archive.
initial_files() {
  if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
    find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  fi
  (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0)
}
