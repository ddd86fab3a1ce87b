# shellcheck shell=bash disable=SC2154 # `top`, `work`, `new` and `old` come from run
# The service as the package brings it, under systemd.

# shellcheck disable=SC2034 # for run
service_checks="install first_answer hardening card_is_served load swap eject_and_unmount dead_card dirty_journal
  busy_disks pools upgrade_under_load remove purge"

# get PATH: over HTTP, from within.
get() { inside curl -sSf --max-time 20 "http://localhost/$1"; }
status_of() { inside curl -s -o /dev/null --max-time 20 -w '%{http_code}' "http://localhost/$1"; }
is_status() { [ "$(status_of "$1")" = "$2" ]; }
property() { inside systemctl show --value --property "$2" "$1"; }
# has_status STATE: as the server told systemd.
has_status() { [[ "$(property trainyard StatusText): " == "$1: "* ]]; }
is_active() { [ "$(inside systemctl is-active "$1")" = active ]; }

check_install() {
  local unit
  inside sh -c 'find / -xdev \( -path /root -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /var/tmp -o -path /var/lib/systemd \) -prune -o -print | sort >/root/before'
  inside dpkg -i "$old" >"$work/install" 2>&1 || fail "installing: $(cat "$work/install")"
  for unit in trainyard.service trainyard-http.socket trainyard-train.socket; do
    is_active $unit || fail "$unit does not run after it was installed"
  done
  # What the filter of system calls does not know ends the server here, which no test would overlook.
  # shellcheck disable=SC2016 # for the inner shell
  inside sh -ec 'mkdir -p /run/systemd/system/trainyard.service.d
    printf "[Service]\nSystemCallErrorNumber=kill\n" >/run/systemd/system/trainyard.service.d/test.conf
    mkdir -p /run/udev/rules.d
    echo "KERNEL==\"loop*\", ENV{ID_FS_LABEL}==\"$1\", ENV{TRAINYARD_CARD}=\"yes\"" >/run/udev/rules.d/89-test.rules
    udevadm control --reload
    systemctl daemon-reload
    systemctl restart trainyard' sh "$card_label"
}

# Without a card, clients are told to come again.
check_first_answer() {
  is_status film 503 || fail "without a card: $(status_of film)"
  inside journalctl --unit trainyard --output cat >"$work/said"
  grep -qx ready "$work/said" || fail "it did not say that it is ready"
  if grep -q backlog "$work/said"; then fail "it warns of a backlog that it cannot see"; fi
  has_status 'the root is not there' || fail "its status is: $(property trainyard StatusText)"
}

# What runs is no user that is there otherwise, has no rights, and its memory is bounded by the budget.
check_hardening() {
  local process budget
  process=$(property trainyard MainPID)
  inside cat "/proc/$process/status" >"$work/status"
  if grep -qE '^Uid:.*\b0\b' "$work/status"; then fail "it runs as root"; fi
  grep -qP '^CapBnd:\t0+$' "$work/status" || fail "it may get capabilities"
  grep -qP '^NoNewPrivs:\t1$' "$work/status" || fail "it may get new rights"
  grep -qP '^Seccomp:\t2$' "$work/status" || fail "its system calls are not filtered"
  budget=$(inside trainyard budget --json --config /etc/trainyard.conf | sed -n 's/.*\],.*"resident_bytes":\([0-9]*\).*/\1/p')
  [ "$(property trainyard MemoryMax)" -gt "$budget" ] || fail "MemoryMax is less than the budget"
  [ "$(property trainyard NRestarts)" = 0 ] || fail "it was started again"
}

# Both pools, by the options of the package, with the calls that each needs.
check_pools() {
  local pool
  for pool in thread process; do
    inside sed -i "s/^#\?pool = .*/pool = $pool/; s/^#\?access-log = .*/access-log = yes/" /etc/trainyard.conf
    inside systemctl restart trainyard
    wait_for "the card, after a restart" is_status film 200
    take_load
    inside systemctl reload trainyard
    wait_for "the card, after a reload" is_status film 200
    [ "$(property trainyard NRestarts)" = 0 ] || fail "$pool pool: it was started again"
  done
  inside pkill --signal KILL --parent "$(property trainyard MainPID)" --oldest
  wait_for "an answer after a worker crashed" is_status film 200
}

# take_load: many clients at once, by HTTP and by trains, with all that they can ask for.
take_load() {
  local sum
  inside sh -ec 'mkdir -p /root/load && cd /root/load && rm -rf ./*
    curl -sSf --no-progress-meter --parallel --parallel-max 100 -o "film#1" "http://localhost/film?[1-200]"
    sha256sum film* | cut -d" " -f1 | sort -u >sums
    curl -sSf -r 1000-1999 -o part http://localhost/film
    curl -sSf -r 0-9,20-29 -o parts http://localhost/film
    curl -sSf -H "Accept: application/json" -o list "http://localhost/?sort=size"
    curl -sSf --compressed -o page http://localhost/
    train-get -q -r -j 4 -O trains train://localhost/folder/ train://localhost/film
    [ -s trains/folder/small ]
    sha256sum trains/film | cut -d" " -f1 >train-sum' || fail "the load was not served"
  sum=$(sha256sum <"$card_files/film" | cut -d' ' -f1)
  [ "$(inside cat /root/load/sums)" = "$sum" ] || fail "a film is not what it was"
  [ "$(inside cat /root/load/train-sum)" = "$sum" ] || fail "a film is not what it was, over trains"
}

# The sockets stay open: clients that come all the while see no failure.
check_upgrade_under_load() {
  inside sh -c 'while [ ! -e /root/stop ]; do
    curl -sS --max-time 20 -o /dev/null -w "%{http_code}\n" http://localhost/film; done >/root/answers 2>&1' &
  local load=$!
  sleep 0.3
  inside dpkg -i --force-confdef --force-confold "$new" >"$work/upgrade" 2>&1 || fail "upgrading: $(cat "$work/upgrade")"
  sleep 0.5
  inside touch /root/stop
  wait "$load"
  [ "$(inside sort -u /root/answers)" = 200 ] || fail "while upgrading: $(inside sort /root/answers | uniq -c)"
  [ "$(inside grep -c . /root/answers)" -gt 10 ] || fail "there was hardly a client"
  # shellcheck disable=SC2016 # dpkg's variable
  [ "$(inside dpkg-query -W -f '${Version}' trainyard)" != 0.0.1-1 ] || fail "it is not the new version"
  inside grep -q '^pool = process' /etc/trainyard.conf || fail "options that were changed are gone"
}

check_remove() {
  inside dpkg -r trainyard >"$work/remove" 2>&1 || fail "removing: $(cat "$work/remove")"
  if is_active trainyard.service || is_active trainyard-http.socket || is_active trainyard-train.socket; then
    fail "it runs although it was removed"
  fi
  if inside findmnt /srv/trainyard >/dev/null; then fail "the card is still mounted"; fi
  inside test -e /etc/trainyard.conf || fail "its options are gone"
}

check_purge() {
  inside dpkg -P trainyard >"$work/purge" 2>&1 || fail "purging: $(cat "$work/purge")"
  inside sh -c 'find / -xdev \( -path /root -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /var/tmp -o -path /var/lib/systemd \) -prune -o -print | sort >/root/after; diff /root/before /root/after' >"$work/left" ||
    fail "what is left after it was purged: $(cat "$work/left")"
}
