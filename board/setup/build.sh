# shellcheck shell=bash disable=SC2154 # `top` comes from those who source it
# Builds the programs of a release, for every target in a folder of its own beneath target/.

# The environment of whoever starts this must not change what is built; BOARD may.
unset RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET

# On an ARM board the flags of .cargo/config.toml would hold for the tests as well: their procedural
# macros cannot be static, and libfaketime works for shared libraries only.
if [ "$(uname -m)" != x86_64 ]; then export RUSTFLAGS=; fi

# use_target TARGET: cargo then builds for it. Folders are apart because compilers may differ.
use_target() {
  case $1 in
    host) export CARGO_TARGET_DIR=$top/target/builds/host ;;
    armv6) export CARGO_TARGET_DIR=$top/target/builds/armv6 ;;
    *)
      unset RUSTFLAGS
      # Nobody debugs what runs under emulation; a panic says its line without that.
      export CARGO_PROFILE_DEV_DEBUG=0
      use_std "$(triple_of "$1")"
      ;;
  esac
}

# build_static TARGET: the programs as they go to a board, optimized and without shared libraries, which
# .cargo/config.toml says for ARM.
build_static() {
  use_target "$1"
  if [ "$1" = armv6 ]; then
    board/armv6
    return
  fi
  unset RUSTFLAGS
  if [ "$(triple_of "$1")" = x86_64-unknown-linux-gnu ]; then export RUSTFLAGS='-C target-feature=+crt-static'; fi
  cargo build --release --bins --target "$(triple_of "$1")"
  ls -l "$(static_programs "$1")"/{trainyard,train-get}
}

# static_programs TARGET: their folder.
static_programs() { (use_target "$1" && echo "$CARGO_TARGET_DIR/$(triple_of "$1")/release"); }
