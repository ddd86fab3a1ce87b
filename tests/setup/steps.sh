# shellcheck shell=bash disable=SC2154 # `me`, `top` and `cache` come from those who source it
# The steps of tests/run. Each runs in a process of its own under `set -e`, gets its target as $1, and
# fails by its exit status.

# The tests' own variables must not come from whoever starts them.
unset TRAINYARD_PROGRAMS TRAINYARD_RUNNER TRAINYARD_STATIC TRAINYARD_POOL TRAINYARD_RELEASE TRAINYARD_TARGET

cargo_deny_version=0.20.2

# stages_of GROUP: one after the other. A stage is one lane of steps, or several at the same time: those that
# wait beside one that computes, or builds in another folder.
stages_of() {
  case $1 in
    host) echo setup fmt,shellcheck,clippy,docs,boards+static,msrv,deny unit,examples integration+systemd,benches threads ;;
    aarch64 | armv7) echo setup boards+static unit integration threads ;;
    armv6) echo setup static integration ;;
    kernel) echo setup large-file ;;
    package) echo setup package ;;
    board) echo setup board ;;
  esac
}

step_setup() {
  lock
  install "$(packages_of "$1")"
  if [ "$1" != kernel ]; then set_up_disk_tools; fi
  if [ "$1" = host ]; then
    set_up_proxy
    # It runs for seconds, so that to make it fast would take longer than that saves.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
      set_up_tool cargo-deny "$cargo_deny_version"
  fi
  case $1 in
    aarch64 | armv7) set_up_std "$(triple_of "$1")" ;;
    armv6) set_up_std_source ;;
    kernel)
      set_up_std "$(triple_of armv7)"
      tests/kernel/run --setup
      ;;
    package)
      board/deb --setup
      if permits_systemd; then tests/package/run --setup; fi
      ;;
    board)
      set_up_std "$(triple_of aarch64)"
      set_up_emulator
      unpack_kernel
      unpack_firmware || die "an image without the Pi's firmware would be tested"
      ;;
  esac
  say "$1 has what it needs"
}

step_fmt() {
  need_component fmt rustfmt
  cargo fmt --check
}

# Every script, and every part of one, by its first line.
step_shellcheck() {
  local scripts
  mapfile -t scripts < <(find . \( -name target -o -name 'target-*' -o -name .git \) -prune -o -type f -exec \
    awk 'FNR == 1 { if (/^#!.*sh( -[a-z]+)?$|^# shellcheck shell=/) print FILENAME; nextfile }' {} +)
  [ ${#scripts[@]} -gt 30 ] || die "the scripts are not found: ${scripts[*]}"
  # It does not see that traps call functions.
  shellcheck -x --exclude=SC2317,SC2329 "${scripts[@]}"
}

step_clippy() {
  need_component clippy clippy
  cargo clippy --all-targets -- -D warnings
}

need_component() {
  cargo "$1" --version >/dev/null 2>&1 || die "cargo $1 is missing: rustup component add $2"
}

# The oldest compiler that Cargo.toml promises builds the programs. clippy's incompatible_msrv looks at the rest.
step_msrv() {
  local version
  version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  if [[ $(rustc -V) == "rustc $version".* ]]; then
    say "this machine's own compiler is $version"
    return
  fi
  if ! command -v rustup >/dev/null ||
    ! timeout 600 rustup toolchain install "$version" --profile minimal --no-self-update; then
    say "rustc $version cannot be had here: rustup is missing, or cannot get it"
    exit 3
  fi
  CARGO_TARGET_DIR=$top/target/builds/msrv cargo "+$version" check --lib --bins
}

# Licences, versions and sources of all crates, and what is known against them, where the list of that can be had.
step_deny() {
  local known=advisories deny
  deny=("$(tool_of cargo-deny "$cargo_deny_version")" --config .cargo/deny.toml --locked)
  if ! timeout 300 "${deny[@]}" fetch db; then
    say "the advisories cannot be had here: they are left out"
    known=
  fi
  # shellcheck disable=SC2086 # nothing, or a word
  "${deny[@]}" check licenses bans sources $known
}

step_docs() { RUSTDOCFLAGS='-D warnings' cargo doc --no-deps; }

# Every board compiles, and a board that does not exist is refused by a message that lists those that do.
step_boards() {
  local board boards output target=()
  if [ "$1" != host ]; then
    use_target "$1"
    target=(--target "$(triple_of "$1")")
  fi
  boards=$(board_names)
  [ -n "$boards" ] || die "there is no board in board/"
  for board in $boards; do
    echo "board $board"
    BOARD=$board cargo check --lib --bins "${target[@]}"
  done
  if output=$(BOARD=no-such-board cargo check --lib "${target[@]}" 2>&1); then
    die "BOARD=no-such-board was accepted"
  fi
  for board in $boards; do
    grep -qF -- "$board" <<<"$output" || die "the message about an unknown board does not name $board: $output"
  done
  echo "an unknown board is refused"
}

board_names() {
  local file
  for file in board/*.rs; do
    if [ -e "$file" ] && [ "$file" != board/mod.rs ]; then basename "$file" .rs; fi
  done
}

step_static() { build_static "$1"; }

# With what is a program of its own, because its memory or its panics are what is tested.
step_unit() {
  if [ "$1" = host ]; then
    cargo test --no-fail-fast --lib --bins --test panic --test seal
  else
    use_target "$1"
    cargo test --no-fail-fast --lib --bins --target "$(triple_of "$1")"
  fi
}

# The examples in the documentation, which are tests too.
step_examples() { cargo test --no-fail-fast --doc; }

# The tests are always programs of this machine; what they start are the programs of the target.
step_integration() {
  local module filters=()
  case $1 in
    host) ;;
    # The code of armv6 is that of armv7 but for the instructions: what moves bytes shows whether those
    # are right.
    armv6) filters=(artefacts:: end_to_end:: wire:: http:: train_get:: --skip deadlines::) ;;
    *) for module in $host_modules; do filters+=(--skip "$module::"); done ;;
  esac
  name_programs "$1"
  run_modules "${filters[@]}"
}

# Once more with the thread pool, those that start a server. What is about processes says that it is
# left out, as do the tests of threads in the step before.
step_threads() {
  local file module filters=()
  for file in tests/*.rs; do
    module=$(basename "$file" .rs)
    if [ "$1" != host ] && [[ " $host_modules " == *" $module "* ]]; then continue; fi
    # The module may be in parts, in a folder of its name.
    if grep -qrs 'common::server::' "$file" "tests/$module"; then filters+=("$module::"); fi
  done
  [ ${#filters[@]} -gt 10 ] || die "the tests that start a server are not found: ${filters[*]}"
  name_programs "$1"
  export TRAINYARD_POOL=thread
  run_modules "${filters[@]}"
}

# These start no program of the target, but themselves, or this machine's: once is enough.
host_modules="fuzz_corpus handover_model http_functions memory tidy"

# run_modules FILTER…: of tests/suite.rs and tests/tools.rs. Browsers and machines are not started by the dozen.
run_modules() {
  local status=0
  cargo test --no-fail-fast --test suite -- "$@" || status=$?
  RUST_TEST_THREADS=4 cargo test --no-fail-fast --test tools -- "$@" || status=$?
  return "$status"
}

# Whether root can give a systemd its own processes, mounts, network and control groups here.
permits_systemd() { as_root unshare --mount --pid --net --cgroup --fork --mount-proc mount -t cgroup2 none /mnt 2>/dev/null; }

need_systemd() {
  if permits_systemd; then return; fi
  say "this machine lets root make no name spaces or control groups: start it as a privileged container"
  exit 3
}

# Under the systemd of this machine, as a manager of its own. Its programs are those of the other tests: a plain
# `cargo build` would build them again, as the tests' packages ask for more of those that they share.
step_systemd() {
  need_systemd
  cargo test --no-run --test suite
  tests/systemd/run "$top/target/debug"
}

# The README's tables can be made anew; what they say is not judged here, beside whatever else runs, so that the
# programs which are there will do.
step_benches() {
  export PROFILE=dev
  tests/bench/run --rounds 1
  tests/bench/pools --rounds 1
  tests/bench/http --rounds 1
}

# name_programs TARGET: the environment that tells the tests which programs to start, and how.
name_programs() {
  TRAINYARD_TARGET=$1
  TRAINYARD_RELEASE=$(static_programs "$1")
  export TRAINYARD_TARGET TRAINYARD_RELEASE
  [ -x "$TRAINYARD_RELEASE/trainyard" ] || die "the static programs were not built"
  if [ "$1" = host ]; then
    export TRAINYARD_STATIC=$TRAINYARD_RELEASE/trainyard
  elif [ "$1" = armv6 ]; then
    # The processor of a Pi Zero. QEMU's own choice would know every later instruction, too.
    export QEMU_CPU=arm1176 TRAINYARD_PROGRAMS=$TRAINYARD_RELEASE
    TRAINYARD_RUNNER=$(runner_of armv6)
    export TRAINYARD_RUNNER
  else
    # With a test, so that what they are built from is what step_unit has built.
    (use_target "$1" && cargo test --no-run --test panic --target "$(triple_of "$1")")
    TRAINYARD_PROGRAMS=$top/target/builds/arm/$(triple_of "$1")/debug
    TRAINYARD_RUNNER=$(runner_of "$1")
    export TRAINYARD_PROGRAMS TRAINYARD_RUNNER
  fi
}

step_large-file() {
  (build_static armv7)
  tests/kernel/run "$(static_programs armv7)/trainyard"
}

# The Debian packages of all architectures that this machine can make.
step_package() {
  local packages
  packages=$(board/deb)
  need_systemd
  # shellcheck disable=SC2086 # paths from here, without blanks
  tests/package/run $packages
}

# One board at a time, with what it took on the screen: the time from power-on to the first byte.
step_board() { TRAINYARD_EMULATOR=$emulator cargo test --test board -- --nocapture --test-threads=1; }
