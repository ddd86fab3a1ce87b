# shellcheck shell=bash disable=SC2154 # `me`, `top` and `cache` come from those who source it
# Programs that the tests use and that are unpacked into the cache folder instead of installed: QEMU's
# packages conflict with other versions of each other, and HAProxy's starts a service.

# set_up_disk_tools: QEMU's tools for disks, with their driver for HTTP. Both in one version, since the
# tools take no driver of another build.
set_up_disk_tools() {
  local version
  if [ -d "$cache/disk-tools" ]; then return; fi
  version=$(candidate_of qemu-block-extra)
  install libcurl3-gnutls
  unpack_aside disk-tools "qemu-utils=$version" "qemu-block-extra=$version"
  "$cache/disk-tools/usr/bin/qemu-img" --version >&2
}

# QEMU's system emulation.
emulator=$cache/emulator

set_up_emulator() {
  if [ -d "$emulator" ]; then return; fi
  unpack_aside emulator qemu-system-arm qemu-system-common qemu-system-data
  "$emulator/usr/bin/qemu-system-aarch64" --version >&2
}

# set_up_proxy: HAProxy.
set_up_proxy() {
  if [ -d "$cache/haproxy" ]; then return; fi
  unpack_aside haproxy haproxy
  "$cache/haproxy/usr/sbin/haproxy" -v >&2
}

# unpack_aside FOLDER PACKAGE[=VERSION]…: into that folder of the cache. The libraries that the first
# package names are installed.
unpack_aside() {
  local deb libraries name=$1 first=${2%%=*} work=$cache/$1.new
  shift
  say "unpacking $*"
  rm -rf "$work"
  for deb in "$@"; do download "$work/debs" "$deb"; done
  read -ra libraries <<<"$(dpkg-deb -f "$work/debs/${first}"_*.deb Depends | tr ',' '\n' |
    sed 's/[|(:].*//; s/ //g' | grep -E '^(lib|zlib)' | tr '\n' ' ')"
  install "${libraries[@]}"
  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work"; done
  rm -rf "$work/debs"
  publish "$work" "$cache/$name"
}

# candidate_of PACKAGE: the version that apt would install.
candidate_of() {
  local version
  version=$(policy_of "$1")
  if [ -z "$version" ]; then
    refresh_index
    version=$(policy_of "$1")
  fi
  [ -n "$version" ] || die "apt knows no $1: is main among the components of its sources?"
  echo "$version"
}

policy_of() { LC_ALL=C apt-cache policy "$1" | awk '/Candidate:/ && $2 != "(none)" { print $2 }'; }
