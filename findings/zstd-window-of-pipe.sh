#!/usr/bin/env bash
# zstd 1.5.4+dfsg2-5 (Debian 12): five bytes through a pipe, with --long=27 or --ultra -22.
# Expected: RFC 8878 section 3.1.1.1.2: the window need be no larger than the content; RFC 9659 section 3: for the
# content coding "zstd" the window is at most 8 MB, and a decoder may refuse frames that declare more.
# Seen: the frame of 18 bytes declares a window of 128 MiB, since the size is not known when its head is made. The
# same five bytes as a file, or with --stream-size=5, declare 5. So a variant made by `... | zstd --long=27`
# and served with Content-Encoding: zstd cannot be read by a browser that keeps to RFC 9659, however small it is.
# What it means here: trainyard sends the FILE.zst beside FILE as it is: make it from the file, not through a pipe.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(cd "$tmp" && apt-get -qq download zstd=1.5.4+dfsg2-5 && dpkg -x ./*.deb root) >/dev/null 2>&1 || exit 2
zstd=$tmp/root/usr/bin/zstd
# Reads a frame and prints the window that its head declares, in bytes (RFC 8878 section 3.1.1.1).
window() {
  python3 -c '
import sys
frame = sys.stdin.buffer.read()
assert frame[:4] == bytes.fromhex("28b52ffd")
if frame[4] & 0x20:  # A single segment: the content size takes the place of the window.
    print(int.from_bytes(frame[5:5 + max(1, 1 << (frame[4] >> 6) & 14)], "little"))
else:
    base = 1 << 10 + (frame[5] >> 3)
    print(base + base // 8 * (frame[5] & 7))'
}
printf hello >"$tmp/hello"
long=$(printf hello | "$zstd" -q --long=27 | window)
ultra=$(printf hello | "$zstd" -q --ultra -22 | window)
file=$("$zstd" -q --long=27 -c "$tmp/hello" | window)
told=$(printf hello | "$zstd" -q --long=27 --stream-size=5 | window)
echo "windows: from a pipe $long (--long=27) and $ultra (--ultra -22), from a file $file, with --stream-size $told"
[ "$long" = 134217728 ] && [ "$ultra" = 134217728 ] && [ "$file" = 5 ] && [ "$told" = 5 ]
