#!/usr/bin/env bash
# wget 1.21.3-1+deb12u1, wget2 1.99.1-2.2, curl 7.88.1-10+deb12u15, busybox 1:1.35.0-4+deb12u1+b1 (Debian 12): each
# resumes a half file, and the server sends fewer bytes in its 206 than were asked for.
# Expected: RFC 9110 section 15.3.7: a 206 may enclose only a part of what was asked, and a client "MUST inspect the
# response's Content-Type and Content-Range field value(s) to determine what parts are enclosed and whether
# additional requests are needed".
# Seen: `Content-Range: bytes 150000-249999/300000` is the end of the matter for all four: the file has 250000 of
# 300000 bytes, and they exit 0.
# What it means here: trainyard encloses all of the one range that was asked for.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; fi; rm -rf "$tmp"' EXIT
# Unpacks the package of that exact version, and what it needs that is not installed here.
unpack() {
  local wanted
  wanted=$(apt-get -s install --no-install-recommends "$1" |
    awk '/^Inst/{v=$0; sub(/^[^(]*\(/, "", v); sub(/ .*/, "", v); print $2 "=" v}')
  # shellcheck disable=SC2086 # one word a package
  (cd "$tmp" && apt-get -qq download "$1" $wanted && for deb in ./*.deb; do dpkg -x "$deb" root; done)
}
for package in wget=1.21.3-1+deb12u1 wget2=1.99.1-2.2 curl=7.88.1-10+deb12u15 busybox=1:1.35.0-4+deb12u1+b1; do
  unpack "$package" >/dev/null 2>&1 || exit 2
done
cat >"$tmp/server.py" <<'END'
import http.server, random, sys

DATA = random.Random(1).randbytes(300000)
open(sys.argv[1], "wb").write(DATA)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        asked = "Range" in self.headers
        start = int(self.headers["Range"][6:].split("-")[0]) if asked else 0
        end = min(start + 100000, 300000) if asked else 300000
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", "bytes %d-%d/300000" % (start, end - 1))
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(DATA[start:end])
    do_HEAD = do_GET

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
LD_LIBRARY_PATH=$(find "$tmp/root" -name "*.so*" -printf "%h\n" | sort -u | paste -sd:)
export LD_LIBRARY_PATH
mkdir "$tmp/run"
cd "$tmp/run"
same=yes
for client in "usr/bin/wget -q -c" "usr/bin/wget2 -q -c" "usr/bin/curl -sf -C - -o file" \
  "bin/busybox wget -q -c -O file"; do
  head -c 150000 "$tmp/original" >file
  code=0
  # shellcheck disable=SC2086 # a command and its options
  timeout 30 "$tmp/root/"$client "$url" || code=$?
  echo "$client exited $code; bytes: $(stat -c %s file) of 300000"
  [ "$code" = 0 ] && [ "$(stat -c %s file)" = 250000 ] || same=no
done
[ "$same" = yes ]
