# shellcheck shell=bash
# Debian packages that the groups of tests/run need.

packages_of() {
  local any="strace curl ca-certificates wget aria2 libfaketime openssl rsync mandoc"
  case $1 in
    host) echo "$(compilers_of host) $any chromium systemd iproute2 procps exfat-fuse exfatprogs shellcheck" ;;
    aarch64 | armv7 | armv6) echo "$(compilers_of host) $any $(compilers_of "$1") qemu-user-static" ;;
    package)
      echo "$(packages_of armv7) $(compilers_of aarch64) debootstrap debian-archive-keyring binutils e2fsprogs fdisk iproute2 procps"
      ;;
    kernel) echo "$(packages_of armv7) $(compilers_of aarch64) cpio kmod e2fsprogs" ;;
    board) echo "$(compilers_of host) $any $(compilers_of aarch64) $(image_makers) exfatprogs" ;;
  esac
}
