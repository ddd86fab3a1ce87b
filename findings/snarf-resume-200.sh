#!/usr/bin/env bash
# snarf 7.0-9+b1 (Debian 12): `snarf -r` resumes a half file; the server ignores Range and answers 200.
# Expected: RFC 9110 section 14.2: "A server MAY ignore the Range header field"; the 200 replaces what was there.
# Seen: the whole body is appended to the half file (450000 bytes instead of 300000), and snarf exits 0.
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
unpack snarf=7.0-9+b1 >/dev/null 2>&1 || exit 2
cat >"$tmp/server.py" <<'END'
import http.server, random, sys

DATA = random.Random(1).randbytes(300000)
open(sys.argv[1], "wb").write(DATA)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        print(self.headers.get("Range"), file=sys.stderr, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" 2>"$tmp/ranges" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
head -c 150000 "$tmp/original" >"$tmp/got"
code=0
timeout 30 "$tmp/root/usr/bin/snarf" -rq "$url" "$tmp/got" 2>/dev/null || code=$?
size=$(stat -c %s "$tmp/got")
asked=$(tail -n 1 "$tmp/ranges")
echo "snarf asked for $asked and exited $code; bytes: $size of 300000"
cmp -s <(tail -c 300000 "$tmp/got") "$tmp/original"
[ "$code" = 0 ] && [ "$asked" = bytes=150000- ] && [ "$size" = 450000 ]
