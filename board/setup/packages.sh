# shellcheck shell=bash disable=SC2154 # `me`, `top` and `cache` come from those who source it
# Debian packages: those of this machine's architecture are installed, those of others only unpacked.
# The machine's own packages and its list of architectures stay as they are.

# compilers_of TARGET: what builds the programs for it. To be given to `install` as words.
compilers_of() {
  case $1 in
    host) echo gcc libc6-dev ;;
    aarch64) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
    armv7) echo gcc-arm-linux-gnueabihf libc6-dev-armhf-cross ;;
    armv6) echo gcc libc6-dev gcc-arm-linux-gnueabi libc6-dev-armel-cross ;;
  esac | without_native
}

# What makes a card's image, beside the compilers.
image_makers() { echo cpio kmod e2fsprogs dosfstools mtools fdisk; }

# The cross compiler for the machine's own architecture is no package of its own: gcc is it.
without_native() { tr ' ' '\n' | { grep -vxF "$(native_names)" || :; } | tr '\n' ' '; }

native_names() {
  case $(dpkg --print-architecture) in
    arm64) printf '%s\n' gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
    armhf) printf '%s\n' gcc-arm-linux-gnueabihf libc6-dev-armhf-cross ;;
    *) echo none ;;
  esac
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=600 "$@" >&2
}

# refresh_index: apt-get update, once a run. It takes the lock of the lists without waiting for it.
refresh_index() {
  local attempt
  if [ -n "${index_is_fresh:-}" ]; then return; fi
  index_is_fresh=yes
  for attempt in 1 2 3 4 5 6; do
    if apt_get update; then return; fi
    say "apt-get update failed (attempt $attempt of 6)"
    sleep 10
  done
  say "going on with the lists of packages that there are"
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# install PACKAGE…: what is missing of them, each argument being one or several names. Refuses where apt would have to remove or replace a
# package that the machine has already.
install() {
  local package missing=()
  # shellcheck disable=SC2048 # names are words
  for package in $*; do
    is_installed "$package" || missing+=("$package")
  done
  if [ ${#missing[@]} = 0 ]; then return; fi
  say "installing ${missing[*]}"
  check_replaces_nothing "${missing[@]}"
  if ! apt_get install --no-install-recommends --no-remove "${missing[@]}"; then
    refresh_index
    check_replaces_nothing "${missing[@]}"
    apt_get install --no-install-recommends --no-remove "${missing[@]}" || die "apt-get could not install ${missing[*]}"
  fi
}

check_replaces_nothing() {
  local plan replaced
  if ! plan=$(LC_ALL=C apt-get -s install --no-install-recommends "$@" 2>&1); then
    refresh_index
    plan=$(LC_ALL=C apt-get -s install --no-install-recommends "$@" 2>&1) || die "apt-get cannot install $*: $plan"
  fi
  replaced=$(awk '$1 == "Remv" || ($1 == "Inst" && $3 ~ /^\[/) { print $2 }' <<<"$plan" | tr '\n' ' ')
  if [ -n "$replaced" ]; then
    die "installing $* would replace ${replaced}and these tests replace nothing: upgrade the machine first (sudo apt-get update && sudo apt-get upgrade)"
  fi
}

# download FOLDER PACKAGE[=VERSION]: a package for this machine, not installed; apt checks it.
download() {
  mkdir -p "$1"
  (cd "$1" && { apt-get -qq download "$2" 2>/dev/null || { refresh_index && apt-get -qq download "$2"; }; }) ||
    die "apt-get could not download $2"
}

# with_index_of ARCHITECTURE COMMAND…: runs it with apt's state in the cache folder, so that apt knows
# another architecture's packages, and firmware that is not free, checked by Debian's signatures, while
# the machine's own apt does not.
with_index_of() {
  local architecture=$1 state=$cache/apt-$1 keyring
  shift
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  : >"$state/status"
  keyring=$(dpkg -L debian-archive-keyring | grep -E '/debian-archive-keyring\.(gpg|pgp)$' | head -n 1)
  apt-get indextargets --format "deb [arch=$architecture signed-by=$keyring] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
    'Created-By: Packages' 'Origin: Debian' | sed 'p; s/ main$/ non-free-firmware/' | sort -u >"$state/sources.list"
  if [ ! -s "$state/sources.list" ]; then die "apt has no list of Debian's packages: run apt-get update"; fi
  cat >"$state/apt.conf" <<CONFIGURATION
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
Dir::State "$state";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
Dir::Etc::sourcelist "$state/sources.list";
Dir::Etc::sourceparts "-";
Acquire::Languages "none";
APT::Sandbox::User "";
CONFIGURATION
  APT_CONFIG=$state/apt.conf "$@"
}

# refresh_index_of ARCHITECTURE: apt-get update of that, once a run.
refresh_index_of() {
  if [ "${foreign_index_is_fresh:-}" = "$1" ]; then return; fi
  foreign_index_is_fresh=$1
  with_index_of "$1" apt-get -qq update >&2 || say "apt-get update for $1 reported errors"
}
