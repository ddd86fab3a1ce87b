# shellcheck shell=bash disable=SC2154 # `me`, `top` and `cache` come from those who source it
# QEMU's tools for disks with their driver for HTTP, which the tests of boot clients use: unpacked into the
# cache folder, because QEMU's packages conflict with other versions of each other.

disk_tools=$cache/disk-tools

# set_up_disk_tools: both packages in one version, since the tools take no driver of another build.
set_up_disk_tools() {
  local version deb libraries work=$cache/disk-tools.new
  if [ -d "$disk_tools" ]; then return; fi
  say "unpacking QEMU's tools for disks"
  rm -rf "$work"
  version=$(block_driver_version)
  if [ -z "$version" ]; then
    refresh_index
    version=$(block_driver_version)
  fi
  [ -n "$version" ] || die "apt knows no qemu-block-extra: is main among the components of its sources?"
  for deb in qemu-utils qemu-block-extra; do download "$work/debs" "$deb=$version"; done
  read -ra libraries <<<"$(dpkg-deb -f "$work"/debs/qemu-utils_*.deb Depends | tr ',' '\n' |
    sed 's/[|(:].*//; s/ //g' | grep -E '^(lib|zlib)' | tr '\n' ' ')"
  install "${libraries[@]}" libcurl3-gnutls
  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work"; done
  rm -rf "$work/debs"
  "$work/usr/bin/qemu-img" --version >&2
  publish "$work" "$disk_tools"
}

block_driver_version() { LC_ALL=C apt-cache policy qemu-block-extra | awk '/Candidate:/ && $2 != "(none)" { print $2 }'; }
