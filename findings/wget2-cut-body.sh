#!/usr/bin/env bash
# wget2 1.99.1-2.2 (Debian 12): the connection closes after 120000 of 300000 announced bytes, each time.
# Expected: RFC 9112 section 8: a client that receives an incomplete response "MUST record the message as
# incomplete"; wget2(1), EXIT STATUS: 4 is a network failure, 8 an error response; --tries=3 retries.
# Seen: no retry, the cut file gets its final name and the server's Last-Modified, and wget2 exits 0. A 503 exits
# 0, too (a 404 exits 8).
# What it means here: a card that is pulled out cuts bodies off: compare sizes or checksums after wget2.
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
unpack wget2=1.99.1-2.2 >/dev/null 2>&1 || exit 2
cat >"$tmp/server.py" <<'END'
import http.server, random, sys

DATA = random.Random(1).randbytes(300000)
open(sys.argv[1], "wb").write(DATA)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        print("request", file=sys.stderr, flush=True)
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Last-Modified", "Sun, 01 Jun 2025 10:00:00 GMT")
        self.send_header("Content-Length", "0" if self.path == "/busy" else "300000")
        self.end_headers()
        if self.path != "/busy":
            self.wfile.write(DATA[:120000])
            self.close_connection = True

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" 2>"$tmp/requests" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
LD_LIBRARY_PATH=$(find "$tmp/root" -name "*.so*" -printf "%h\n" | sort -u | paste -sd:)
export LD_LIBRARY_PATH
code=0 busy=0
timeout 30 "$tmp/root/usr/bin/wget2" -q --tries=3 -O "$tmp/got" "$url" || code=$?
timeout 30 "$tmp/root/usr/bin/wget2" -q --tries=1 -O "$tmp/none" "${url%/file}/busy" || busy=$?
size=$(stat -c %s "$tmp/got")
date=$(date -u -r "$tmp/got" +%F)
requests=$(grep -c request "$tmp/requests")
echo "wget2 exited $code; bytes: $size of 300000, time $date; a 503: $busy; requests in all: $requests"
[ "$code" = 0 ] && [ "$busy" = 0 ] && [ "$size" = 120000 ] && [ "$date" = 2025-06-01 ] && [ "$requests" = 2 ]
