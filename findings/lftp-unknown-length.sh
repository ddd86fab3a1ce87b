#!/usr/bin/env bash
# lftp 4.9.2-2+b1 (Debian 12): `get -c` of a half file, the 206 says `Content-Range: bytes 150000-299999/*`.
# Expected: RFC 9110 section 14.4: an asterisk means that the complete length was unknown when the field was
# generated; the first and last position are those of the bytes enclosed. They are appended to the half file.
# Seen: lftp takes the unknown length for "nothing more", exits 0 and leaves the half file as it was.
# What it means here: trainyard says the length in each Content-Range.
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
unpack lftp=4.9.2-2+b1 >/dev/null 2>&1 || exit 2
cat >"$tmp/server.py" <<'END'
import http.server, random, sys

DATA = random.Random(1).randbytes(300000)
open(sys.argv[1], "wb").write(DATA)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", "bytes %d-299999/*" % start)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(300000 - start))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(DATA[start:])
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
head -c 150000 "$tmp/original" >"$tmp/got"
code=0
settings="set net:max-retries 2; set net:timeout 5"
timeout 30 "$tmp/root/usr/bin/lftp" -c "$settings; get -c $url -o $tmp/got" </dev/null || code=$?
echo "lftp exited $code; bytes: $(stat -c %s "$tmp/got") of 300000"
[ "$code" = 0 ] && [ "$(stat -c %s "$tmp/got")" = 150000 ]
