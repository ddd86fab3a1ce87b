# shellcheck shell=bash disable=SC2154 # `me`, `top` and `cache` come from those who source it
# Rust's standard library for ARM: from rustup where it gives one, else from Debian's rustc-web
# packages, unpacked into the cache folder in rustup's own layout. Those come with a compiler of another
# version than rustup's, so whatever is built for ARM uses that compiler, in a target folder of its own.

rustc_version_min=1.88
debian_rust=$cache/rust

# Hashes of packages that are fetched by address, because apt knows only its own architecture's.
known_hashes='
libstd-rust-web-dev 1.96.0+dfsg1-1~deb12u2 arm64 02419380801b9f61391294823659b17b90f7a863ca3bbccb9140d2f0f8a2c910
libstd-rust-web-dev 1.96.0+dfsg1-1~deb12u2 armhf b9f9dd1d03a903680f918cb2bba00a2a3d76558545d5e6a8061072ab461bb989
'

has_std() { compgen -G "$1/lib/rustlib/$2/lib/libstd-*.rlib" >/dev/null; }  # has_std SYSROOT TRIPLE
own_sysroot() { rustc --print sysroot; }

# set_up_std TRIPLE: afterwards use_std finds it.
set_up_std() {
  local triple=$1
  if has_std "$(own_sysroot)" "$triple" || has_std "$debian_rust" "$triple"; then return; fi
  if command -v rustup >/dev/null; then
    say "rustup target add $triple"
    if timeout 600 rustup target add "$triple" >&2 && has_std "$(own_sysroot)" "$triple"; then return; fi
    say "rustup cannot get it: taking Debian's"
  fi
  unpack_debian_rust
  has_std "$debian_rust" "$triple" || die "Debian's packages hold no standard library for $triple"
}

# use_std TRIPLE: sets the environment so that cargo builds for it.
use_std() {
  export CARGO_TARGET_DIR=$top/target/builds/arm
  if has_std "$(own_sysroot)" "$1"; then return; fi
  has_std "$debian_rust" "$1" || die "there is no standard library for $1: its set-up failed"
  export RUSTC=$debian_rust/bin/rustc RUSTDOC=$debian_rust/bin/rustdoc
}

# set_up_std_source: what -Z build-std builds; afterwards use_std_source finds it.
set_up_std_source() {
  if has_std_source "$(own_sysroot)" || has_std_source "$debian_rust"; then return; fi
  if command -v rustup >/dev/null; then
    say "rustup component add rust-src"
    if timeout 600 rustup component add rust-src >&2 && has_std_source "$(own_sysroot)"; then return; fi
    say "rustup cannot get it: taking Debian's"
  fi
  unpack_debian_rust_source
  has_std_source "$debian_rust" || die "Debian's packages hold no source of the standard library"
}

has_std_source() { [ -e "$1/lib/rustlib/src/rust/library/Cargo.lock" ]; }  # has_std_source SYSROOT

# use_std_source: sets the environment so that cargo's compiler is the one that the source belongs to.
use_std_source() {
  if has_std_source "$(own_sysroot)"; then return; fi
  has_std_source "$debian_rust" || die "there is no source of the standard library: its set-up failed"
  export RUSTC=$debian_rust/bin/rustc RUSTDOC=$debian_rust/bin/rustdoc
}

# The source has to be of the compiler's own version.
unpack_debian_rust_source() {
  local version unpacked='' work=$cache/rust-source.new
  rm -rf "$work"
  version=$(debian_rust_version)
  if [ -x "$debian_rust/bin/rustc" ]; then unpacked=$("$debian_rust/bin/rustc" -V | awk '{ print $2 }'); fi
  if [ "$unpacked" != "${version%%+*}" ]; then unpack_debian_rust; fi
  say "unpacking Debian's rust-web-src $version"
  download "$work/debs" "rust-web-src=$version"
  dpkg-deb --fsys-tarfile "$work"/debs/*.deb | tar -x -C "$work" --wildcards './usr/src/*/library'
  mkdir -p "$debian_rust/lib/rustlib/src/rust"
  mv "$work"/usr/src/*/library "$debian_rust/lib/rustlib/src/rust/library"
  rm -rf "$work"
}

unpack_debian_rust() {
  local version architecture deb driver llvm work=$cache/rust.new
  rm -rf "$work"
  version=$(debian_rust_version)
  driver=$(dependency_of "libstd-rust-web-dev=$version" 'libstd-rust-web-[0-9][0-9.]*')
  llvm=$(dependency_of "$driver=$version" 'libllvm[0-9]*')
  say "unpacking Debian's rustc-web $version"
  install "$llvm"
  for deb in rustc-web "$driver" libstd-rust-web-dev; do download "$work/debs" "$deb=$version"; done
  for architecture in arm64 armhf; do
    if [ "$architecture" = "$(dpkg --print-architecture)" ]; then continue; fi
    download_foreign "$work/debs" libstd-rust-web-dev "$version" "$architecture"
  done
  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
  lay_out_rust "$work/root/usr" "$work/rust"
  "$work/rust/bin/rustc" -V >&2 || die "the unpacked compiler does not run"
  publish "$work/rust" "$debian_rust"
  rm -rf "$work"
}

debian_rust_version() {
  local version
  version=$(apt-cache policy rustc-web | awk '/Candidate:/ { print $2 }')
  if ! is_new_enough "$version"; then
    refresh_index
    version=$(apt-cache policy rustc-web | awk '/Candidate:/ { print $2 }')
  fi
  is_new_enough "$version" || die "rustup has no ARM library, and Debian's rustc-web is '$version': $rustc_version_min is needed"
  echo "$version"
}

is_new_enough() { [ -n "$1" ] && dpkg --compare-versions "$1" ge "$rustc_version_min"; }
dependency_of() { apt-cache show "$1" | sed -n 's/^Depends: //p' | grep -o "$2" | sort -u | head -n 1; }

# download_foreign FOLDER PACKAGE VERSION ARCHITECTURE: checked by a known hash, or by Debian's
# signed list of that architecture's packages.
download_foreign() {
  local folder=$1 package=$2 version=$3 architecture=$4 hash address
  hash=$(awk -v key="$package $version $architecture" '$1 " " $2 " " $3 == key { print $4 }' <<<"$known_hashes")
  if [ -z "$hash" ]; then
    say "no known hash of $package $version for $architecture: asking Debian's signed list"
    with_index_of "$architecture" apt-get -qq update >&2 || say "apt-get update for $architecture reported errors"
    (cd "$folder" && with_index_of "$architecture" apt-get -qq download "$package=$version") ||
      die "$package $version for $architecture cannot be had with a check"
    return
  fi
  # Asked from a folder of its own: apt names no address for a package that lies there already.
  address=$(cd "$(mktemp -d "$folder/empty.XXXXXX")" && apt-get -qq download --print-uris "$package=$version" | cut -d"'" -f2)
  [ -n "$address" ] || die "apt has no address for $package $version"
  /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root download-file "${address%_*.deb}_$architecture.deb" \
    "$folder/${package}_$architecture.deb" "SHA256:$hash" >&2 || die "$package $version for $architecture: wrong or missing"
}

# lay_out_rust FROM TO: the compiler's own libraries are not on the system's search path there, so a
# small script starts it. Not sh's: dash drops the variables whose names have a hyphen, and one of cargo's
# for the tests is CARGO_BIN_EXE_train-get.
lay_out_rust() {
  local from=$1 to=$2 program
  mkdir -p "$to/bin" "$to/lib" "$to/libexec"
  mv "$from/lib/rustlib" "$to/lib/rustlib"
  mv "$from"/lib/*-linux-gnu*/*.so "$to/lib/"
  for program in rustc rustdoc; do
    mv "$from/bin/$program" "$to/libexec/"
    cat >"$to/bin/$program" <<'SCRIPT'
#!/usr/bin/env bash
folder=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH=$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$folder/libexec/${0##*/}" "$@"
SCRIPT
    chmod 755 "$to/bin/$program"
  done
}

# set_up_tool NAME VERSION: a program of crates.io, into the cache folder; tool_of says where it is.
set_up_tool() {
  if [ -x "$(tool_of "$1" "$2")" ]; then return; fi
  say "installing $1 $2 into $cache"
  cargo install "$1" --quiet --locked --version "$2" --root "$cache/$1.new" >&2
  publish "$cache/$1.new" "$cache/$1-$2"
}

tool_of() { echo "$cache/$1-$2/bin/$1"; }
