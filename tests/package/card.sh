# shellcheck shell=bash disable=SC2154 # `top` and `work` come from run
# Cards that are put in and taken out: loop devices, whose events udev in the container sees.

# By this, cards of ours are told from what else comes and goes on this machine meanwhile.
card_label=card$$

# make_card NAME: an image with one ext4 partition, its files in $card_files.
make_card() {
  make_files "$1"
  format_card "$1"
}

make_files() {
  card_files=$work/$1.files
  mkdir -p "$card_files/folder"
  head -c 3000000 /dev/urandom >"$card_files/film"
  head -c 1000 /dev/urandom >"$card_files/folder/small"
  touch -d @1000000000 "$card_files/film"
}

format_card() {
  truncate -s 32M "$work/$1"
  echo 'start=2048, type=83' | /sbin/sfdisk --quiet "$work/$1"
  /sbin/mkfs.ext4 -q -F -L "$card_label" -d "$card_files" -E offset=1048576 "$work/$1" 28M
}

# put_in NAME: sets `card`, its device. Partitions are told to the kernel, which may not look itself.
put_in() {
  card=$(losetup --find --show "$work/$1")
  card_devices+=("$card")
  # Of a device that was in use when it went, the kernel keeps the partitions.
  partx --delete "$card" 2>/dev/null || :
  partx --add "$card"
}

# take_out: the server looks for cards every half second, and people are slower than that.
take_out() {
  partx --delete "$card"
  losetup --detach "$card"
  sleep 1.5
}

is_mounted() { inside findmnt --noheadings --output SOURCE /srv/trainyard; }
serves_film() { get film | cmp -s - "$card_files/film"; }

check_card_is_served() {
  local options option
  make_card first
  sum=$(sha256sum <"$work/first")
  put_in first
  wait_for "the card's file" serves_film
  wait_for "the status of a server with a card" has_status serving
  [ "$(is_mounted)" = "${card}p1" ] || fail "what is mounted is not the card's first partition"
  options=,$(inside findmnt --noheadings --output OPTIONS /srv/trainyard),
  for option in ro noatime nosuid nodev noexec; do
    [[ $options == *,$option,* ]] || fail "the card is mounted without $option: $options"
  done
}

# written DEVICE: requests to write that were completed, and sectors (Documentation/block/stat.rst).
written() { awk '{ print $5, $7, $12 }' "/sys/class/block/${1#/dev/}/stat"; }

# Nothing is written: not one request reaches the device, from its mount to its unmount.
check_load() {
  local before
  before=$(written "$card")
  take_load
  [ "$(written "$card")" = "$before" ] || fail "the card was written: $before, then $(written "$card")"
  [ "$(property trainyard NRestarts)" = 0 ] || fail "it was started again"
}

# Pulled out without a word: the mount goes away, clients are told, and the next card is served.
check_swap() {
  local etag
  etag=$(inside curl -sSI http://localhost/film | grep -i '^etag')
  inside udevadm trigger --action=remove "/sys/class/block/${card#/dev/}p1"
  wait_for "503 after the card went" is_status film 503
  if is_mounted >/dev/null; then fail "the card that went is still mounted"; fi
  take_out
  [ "$(sha256sum <"$work/first")" = "$sum" ] || fail "the card was written"
  put_in first
  wait_for "the card that was put back" serves_film
  [ "$(inside curl -sSI http://localhost/film | grep -i '^etag')" = "$etag" ] || fail "its ETag is another"
}

# Both ways to take a card out by request: the command and umount, or the unit alone.
check_eject_and_unmount() {
  inside trainyard eject || fail "eject failed"
  inside umount /srv/trainyard || fail "umount failed after eject"
  wait_for "503 after umount" is_status film 503
  take_out
  put_in first
  wait_for "the card that was put back after umount" serves_film
  inside systemctl stop srv-trainyard.mount
  if is_mounted >/dev/null; then fail "the card is still mounted"; fi
  # Nobody holds it: the device can go at once.
  take_out
  wait_for "503 after the unit was stopped" is_status film 503
  [ "$(sha256sum <"$work/first")" = "$sum" ] || fail "the card was written"
}

# Its device answers with errors from now on. All of its files lie in folders.
check_dead_card() {
  make_files dead
  mv "$card_files/film" "$card_files/folder/"
  format_card dead
  put_in dead
  # What was read is in memory, and served on: the film is not.
  wait_for "a listing" is_status folder/ 200
  truncate -s 1M "$work/dead"
  wait_for "503 after the card failed" is_status folder/film 503
  inside umount /srv/trainyard || fail "a card that failed cannot be unmounted"
  take_out
}

# A card that was pulled out of the machine that wrote it has its journal to be replayed: not here.
check_dirty_journal() {
  make_card dirty
  cp "$work/dirty" "$work/pulled"
  /sbin/debugfs -w -R 'feature needs_recovery' "$work/pulled?offset=1048576" >/dev/null 2>&1
  cmp -s "$work/dirty" "$work/pulled" && fail "the journal is not dirty: this test is none"
  sum=$(sha256sum <"$work/pulled")
  put_in pulled
  wait_for "the file of a card with a dirty journal" serves_film
  inside systemctl stop srv-trainyard.mount
  take_out
  [ "$(sha256sum <"$work/pulled")" = "$sum" ] || fail "the journal was replayed onto the card"
}

# What is in use, or in fstab, is left alone; so is a second card. Where that cannot be told, the unit fails.
check_busy_disks() {
  local first status=0
  put_in first
  card_files=$work/first.files
  wait_for "the card's file" serves_film
  first=$card
  put_in dirty
  inside udevadm settle
  sleep 1
  [ "$(is_mounted)" = "${first}p1" ] || fail "the second card took the place of the first"
  if inside findmnt "${card}p1" >/dev/null; then fail "the second card is mounted, too"; fi
  inside /usr/lib/trainyard/is-free "${card}p1" || fail "a card that is not in use is taken for one that is"
  if inside /usr/lib/trainyard/is-free "${first}p1"; then fail "a card in use is taken for one that is free"; fi
  inside sh -c "echo UUID=\$(blkid -o value -s UUID ${card}p1) /mnt ext4 defaults 0 0 >/etc/fstab"
  if inside /usr/lib/trainyard/is-free "${card}p1"; then fail "a card in fstab is taken for one that is free"; fi
  inside sh -c ': >/etc/fstab'
  inside /usr/lib/trainyard/is-free /dev/none || status=$?
  [ $status = 255 ] || fail "a device that is not there gives $status, not 255: no failure for systemd"
  take_out
  card=$first
}
