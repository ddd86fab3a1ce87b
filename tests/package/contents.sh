# shellcheck shell=bash disable=SC2154 # `top`, `work`, `new` and `old` come from run
# What is in the packages, and what becomes of a system's files by one.

check_contents() {
  local package architecture folder reference
  for package in "$@"; do
    architecture=$(dpkg-deb -f "$package" Architecture)
    folder=$work/contents/$architecture
    mkdir -p "$folder"
    dpkg-deb --extract "$package" "$folder"
    case $package in *_"$architecture".deb) ;; *) die "$package is for $architecture" ;; esac
    check_programs "$architecture" "$folder/usr/bin"
    [ "$(dpkg-deb -I "$package" conffiles)" = /etc/trainyard.conf ] || die "$package: other conffiles"
    zcat "$folder/usr/share/doc/trainyard/changelog.Debian.gz" | grep -q "^trainyard ($(dpkg-deb -f "$package" Version)) " ||
      die "$package: its changelog does not begin with its version"
    # But for the programs, all packages have the same files.
    (cd "$folder" && find . -type f ! -path './usr/bin/*' -exec sha256sum {} + | sort -k2) >"$folder.sums"
    : "${reference:=$folder.sums}"
    cmp "$reference" "$folder.sums" || die "$package has other files than ${reference##*/}"
  done
  [ "$(wc -l <"$reference")" -gt 10 ] || die "the packages hold almost nothing"
}

# check_programs ARCHITECTURE FOLDER: of this machine kind, static, and they run.
check_programs() {
  local machine runner='' program
  case $1 in
    amd64) machine=X86-64 ;;
    arm64) machine=AArch64 runner=$(runner_of aarch64) ;;
    armhf) machine=ARM runner=$(runner_of armv7) ;;
    *) die "no such architecture: $1" ;;
  esac
  if [ "$1" = "$(dpkg --print-architecture)" ]; then runner=; fi
  for program in trainyard train-get; do
    readelf -h "$2/$program" | grep -q "Machine: .*$machine\$" || die "$1: $program is for another machine"
    if readelf -l "$2/$program" | grep -q INTERP; then die "$1: $program needs shared libraries"; fi
    # shellcheck disable=SC2086 # a prefix of words
    $runner "$2/$program" --version >/dev/null || die "$1: $program does not run"
  done
  # shellcheck disable=SC2086
  $runner "$2/trainyard" budget --config "$2/../../etc/trainyard.conf" >/dev/null || die "$1: its own options are refused"
}

check_lintian() {
  local package
  for package in "$@"; do
    alone lintian --allow-root --fail-on error,warning "/root/${package##*/}" || die "lintian: ${package##*/}"
  done
}

# check_pages PACKAGE…: every page renders without a warning, and names every option of its text.
check_pages() {
  local folder page option warnings
  folder=$(printf '%s\n' "$work"/contents/* | head -n 1)
  for page in "$folder"/usr/share/man/man?/*.gz; do
    mkdir -p "$work/pages"
    zcat "$page" >"$work/pages/$(basename "$page" .gz)"
  done
  cp -r "$work/pages" "$work/changed/root/"
  for page in trainyard.1 train-get.1 trainyard.conf.5 train.7; do
    warnings=$(alone groff -mandoc -k -Tutf8 -ww -z "/root/pages/$page" 2>&1 || echo "groff failed")
    [ -z "$warnings" ] || die "$page: $warnings"
    alone env LC_ALL=C.UTF-8 MANWIDTH=100 man -l "/root/pages/$page" >"$work/$page.text" 2>"$work/$page.warnings"
    [ ! -s "$work/$page.warnings" ] || die "$page: $(cat "$work/$page.warnings")"
    [ "$(sed -n '/^NAME/{n;p}' "$work/$page.text" | grep -c ' — ')" = 1 ] || die "$page has no line of what it is about"
  done
  while read -r option; do
    grep -q -- "^ *$option" "$work/trainyard.1.text" || die "trainyard(1) lacks $option"
  done < <("$(own_program trainyard)" --help | sed -n 's/^  *\(--[a-z-]*\).*/\1/p')
}

own_program() { echo "$work/contents/$(dpkg --print-architecture)/usr/bin/$1"; }

# check_units PACKAGE…: systemd finds nothing wrong, and little that is not locked.
check_units() {
  alone sh -ec "
    dpkg --unpack $new >/dev/null
    # One like it is made when a card is put in.
    printf '[Mount]\nWhat=/dev/sda1\nWhere=/srv/trainyard\n' >/run/srv-trainyard.mount
    systemctl --quiet link /run/srv-trainyard.mount
    systemd-analyze verify srv-trainyard.mount trainyard.service trainyard-http.socket trainyard-train.socket trainyard-eject.service trainyard-card@sda1.service
    systemd-analyze security --no-pager --offline=yes --threshold=6 trainyard.service >/root/security ||
      { cat /root/security; exit 1; }
    tail -n 1 /root/security
    systemctl --quiet disable srv-trainyard.mount
    dpkg --purge trainyard >/dev/null" >"$work/units" 2>&1 || die "the units: $(cat "$work/units")"
  # Verify complains without failing.
  [ "$(wc -l <"$work/units")" = 1 ] || die "the units: $(cat "$work/units")"
  cat "$work/units"
}

# check_life_without_systemd PACKAGE…: as when an image is made: no service runs, but all is enabled.
check_life_without_systemd() {
  alone sh -ec "
    files() { find / -xdev \( -path /root -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \) -prune -o -print | sort; }
    enabled() { for unit in multi-user.target.wants/trainyard.service sockets.target.wants/trainyard-http.socket sockets.target.wants/trainyard-train.socket; do
      [ -L /etc/systemd/system/\$unit ] || { echo \"\$unit is not enabled\"; exit 1; }; done; }
    files >/root/before
    dpkg -i $old
    enabled
    [ -d /srv/trainyard ]
    ! grep -q '^drain' /etc/trainyard.conf
    # Options that nobody changed are the new version's.
    dpkg -i $new
    enabled
    ! grep -q 'earlier version' /etc/trainyard.conf
    dpkg -i --force-downgrade --force-confnew $old
    # Those that somebody changed stay, and so does what was disabled.
    echo 'drain = 7' >>/etc/trainyard.conf
    rm /etc/systemd/system/sockets.target.wants/trainyard-train.socket
    dpkg -i --force-confdef --force-confold $new
    grep -q '^drain = 7' /etc/trainyard.conf
    [ ! -e /etc/systemd/system/sockets.target.wants/trainyard-train.socket ]
    [ \"\$(dpkg-query -W -f '\${db:Status-Abbrev}' trainyard)\" = 'ii ' ]
    dpkg -r trainyard
    [ -e /etc/trainyard.conf ] && [ ! -e /usr/bin/trainyard ] && [ ! -e /usr/lib/trainyard ]
    dpkg -P trainyard
    files >/root/after
    diff /root/before /root/after" >"$work/life" 2>&1 || die "install, upgrade, remove, purge: $(cat "$work/life")"
}
