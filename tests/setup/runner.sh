# shellcheck shell=bash
# How programs of other machines are started here.

# runner_of aarch64|armv7|armv6: the prefix that starts such a program here
runner_of() {
  case $1 in
    aarch64) echo qemu-aarch64-static ;;
    armv7 | armv6) echo qemu-arm-static ;;
  esac
}
