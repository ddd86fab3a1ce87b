# shellcheck shell=bash disable=SC2154 # `me`, `top` and `cache` come from those who source it
# What all that builds, packages and tests shares: messages, the cache folder, the targets.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/trainyard

say() { echo "$me: $*" >&2; }
die() { say "$*"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# lock: two runs at once must not set up the same thing; held until this process ends.
lock() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock --timeout 1800 9 || die "another run has held $cache/lock for half an hour"
}

# publish NEW FINAL: makes a finished folder visible under its name, whole or not at all.
publish() {
  rm -rf "$2.old"
  if [ -e "$2" ]; then mv "$2" "$2.old"; fi
  mv "$1" "$2"
  rm -rf "$2.old"
}

host_triple() { rustc -vV | sed -n 's/^host: //p'; }

# triple_of aarch64|armv7|armv6|host
triple_of() {
  case $1 in
    aarch64) echo aarch64-unknown-linux-gnu ;;
    armv7) echo armv7-unknown-linux-gnueabihf ;;
    armv6) echo arm-unknown-linux-gnueabi ;;
    host) host_triple ;;
    *) die "no such target: $1" ;;
  esac
}
