#!/usr/bin/env bash
# zsync 0.6.2-5 (Debian 12): an update of a file with two changed places; the server answers the request of several
# ranges with 200 and the whole file.
# Expected: RFC 9110 section 14.2: "A server MAY ignore the Range header field", and is told to think of it when
# many small ranges are asked for; the 200 has all that zsync lacks.
# Seen: zsync gives up and exits 2, leaves a .part file, and fetches nothing: the update of a file that a plain
# download would have had in the same answer fails on each try.
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
unpack zsync=0.6.2-5 >/dev/null 2>&1 || exit 2
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
        try:
            self.wfile.write(DATA)
        except OSError:
            pass  # It has gone already.

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" 2>"$tmp/asked" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
cd "$tmp"
root/usr/bin/zsyncmake -u "$url" -f got -o file.zsync original 2>/dev/null
python3 -c '
data = bytearray(open("original", "rb").read())
data[100000:100008] = data[200000:200008] = b"changed "
open("old", "wb").write(data)'
code=0
timeout 60 root/usr/bin/zsync -q -i old -o got file.zsync >said 2>&1 || code=$?
echo "zsync asked for $(head -n 1 asked) and exited $code: $(tail -n 1 said)"
[ "$code" = 2 ] && [ ! -e got ] && grep -q , asked
