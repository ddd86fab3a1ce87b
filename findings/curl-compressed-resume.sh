#!/usr/bin/env bash
# curl 7.88.1-10+deb12u15 (Debian 12): `curl --compressed -C -` goes on with a file of which it saved 150000 of 260000
# decoded bytes; the gzip form that the server sends has fewer bytes than that.
# Expected: RFC 9110 section 14.1.2: a byte range counts the bytes of the selected representation, here the gzip
# form (section 8.4: the coding is a characteristic of the representation). curl(1), -C: "curl figures out where".
# Seen: curl counts the decoded bytes of the file in `Range: bytes=150000-`, gets the 416 that is due, takes it for
# "the file is complete already" and exits 0 with the half file.
# What it means here: trainyard sends FILE.gz in the place of FILE to who asks for gzip: resume without --compressed.
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
unpack curl=7.88.1-10+deb12u15 >/dev/null 2>&1 || exit 2
cat >"$tmp/server.py" <<'END'
import gzip, http.server, sys

TEXT = b"".join(b"line %07d\n" % number for number in range(20000))
open(sys.argv[1], "wb").write(TEXT)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        coded = "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(TEXT) if coded else TEXT
        asked = self.headers.get("Range")
        start = int(asked[6:-1]) if asked else 0
        print(asked, len(body), file=sys.stderr, flush=True)
        self.send_response(416 if start >= len(body) else 206 if asked else 200)
        if coded and start < len(body):
            self.send_header("Content-Encoding", "gzip")
        if start >= len(body):
            self.send_header("Content-Range", "bytes */%d" % len(body))
        elif asked:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(body) - 1, len(body)))
        self.send_header("Content-Length", str(len(body[start:])))
        self.end_headers()
        self.wfile.write(body[start:])

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" 2>"$tmp/asked" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
LD_LIBRARY_PATH=$(find "$tmp/root" -name "*.so*" -printf "%h\n" | sort -u | paste -sd:)
export LD_LIBRARY_PATH
head -c 150000 "$tmp/original" >"$tmp/got"
code=0
timeout 30 "$tmp/root/usr/bin/curl" -s --compressed -C - -o "$tmp/got" "$url" || code=$?
read -r range length <"$tmp/asked"
size=$(stat -c %s "$tmp/got")
echo "curl asked for $range of $length bytes and exited $code; bytes: $size of $(stat -c %s "$tmp/original")"
[ "$code" = 0 ] && [ "$range" = bytes=150000- ] && [ "$size" = 150000 ]
