# shellcheck shell=bash disable=SC2154 # `top` and `work` come from run
# The system calls of the ARM programs, held against the filter of trainyard.service. A kernel that runs
# ARM programs could put the filter to work, as it does with this machine's own (check_install); QEMU's
# user emulation only lists the calls.

# Calls that QEMU 7 has no name for, by their numbers on either architecture.
unnamed_calls='s/^293$/rseq/; s/^398$/rseq/; s/^437$/openat2/; s/^286$/preadv2/; s/^392$/preadv2/'

check_calls() {
  local package architecture pool
  alone systemd-analyze --no-pager syscall-filter >"$work/groups"
  allowed_calls "$work/groups" "$top/board/package/trainyard.service" >"$work/allowed"
  grep -qx openat2 "$work/allowed" || die "the filter of system calls is not understood"
  if grep -qxE 'mount|setuid|ptrace' "$work/allowed"; then die "the filter allows what it should not, or is not understood"; fi
  mkdir -p "$work/served"
  head -c 3000000 /dev/urandom >"$work/served/film"
  chmod a+x "$work"
  for package in "$@"; do
    architecture=$(dpkg-deb -f "$package" Architecture)
    if [ "$architecture" = "$(dpkg --print-architecture)" ] || [ "$architecture" = amd64 ]; then continue; fi
    for pool in process thread; do
      trace_calls "$architecture" "$pool"
      check_traced "$architecture" "$pool"
    done
  done
}

# allowed_calls GROUPS UNIT: the names, one a line. GROUPS is what systemd-analyze says.
allowed_calls() {
  awk '
    function take(name, is_allowed,   count, i, members) {
      if (name !~ /^@/) { allowed[name] = is_allowed; return }
      count = split(group[name], members, " ")
      if (count == 0) { print "no group " name > "/dev/stderr"; exit 1 }
      for (i = 1; i <= count; i++) take(members[i], is_allowed)
    }
    FNR == NR && /^@/ { current = $1; next }
    FNR == NR && /^ +[^ #]/ { group[current] = group[current] " " $1; next }
    FNR == NR { next }
    sub(/^SystemCallFilter=/, "") {
      is_allowed = !sub(/^~/, "")
      for (i = 1; i <= NF; i++) take($i, is_allowed)
    }
    END { for (name in allowed) if (allowed[name]) print name }' "$1" "$2"
}

# trace_calls ARCHITECTURE POOL: a short life of a server, with all that clients ask for.
trace_calls() {
  local runner server port attempt said=$work/said.$1.$2
  case $1 in
    arm64) runner=$(runner_of aarch64) ;;
    armhf) runner=$(runner_of armv7) ;;
  esac
  touch "$work/calls.$1.$2"
  chmod 666 "$work/calls.$1.$2"
  # Becoming another user is systemd's work there, so it is not the server's here.
  timeout 60 setpriv --reuid 65534 --regid 65534 --clear-groups \
    "$runner" -strace -D "$work/calls.$1.$2" "$work/contents/$1/usr/bin/trainyard" serve "$work/served" \
    --http 127.0.0.1:0 --train 127.0.0.1:0 --pool "$2" --workers 2 --access-log --wait-root >"$said" 2>&1 &
  server=$!
  wait_for "$1 in the $2 pool" grep -qx ready "$said"
  port=$(sed -n 's/^http .*://p' "$said")
  for attempt in 1 2; do
    curl -sSf --max-time 20 "http://127.0.0.1:$port/film" | cmp - "$work/served/film" || die "$1: another film"
    curl -sSf --max-time 20 -o "$work/page" "http://127.0.0.1:$port/?sort=size"
    curl -sSf --max-time 20 -o "$work/part" -r 0-9,20-29 "http://127.0.0.1:$port/film"
    "$(own_program train-get)" -q -O "$work/got.$attempt" "train://127.0.0.1:$(sed -n 's/^train .*://p' "$said")/film" ||
      die "$1: no film over trains"
    echo changed >"$work/served/other"
    # timeout passes it on.
    kill -HUP "$server"
    sleep 0.5
  done
  kill -TERM "$server"
  wait "$server" || die "$1 in the $2 pool: did not stop: $(cat "$said")"
  rm -rf "$work"/got.*
}

check_traced() {
  local log=$work/calls.$1.$2 refused
  {
    sed -nE 's/^[0-9]+ ([a-z_0-9]+)\(.*/\1/p' "$log"
    sed -nE 's/^[0-9]+ Unknown syscall ([0-9]+).*/\1/p' "$log" | sed "$unnamed_calls"
  } | sort -u >"$log.names"
  [ "$(wc -l <"$log.names")" -gt 30 ] || die "$1: the calls are not seen: $(head -n 3 "$log")"
  refused=$(grep -vxFf "$work/allowed" "$log.names" || :)
  [ -z "$refused" ] || die "$1 in the $2 pool makes calls that trainyard.service does not allow: $refused"
}
