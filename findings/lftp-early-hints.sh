#!/usr/bin/env bash
# lftp 4.9.2-2+b1 (Debian 12): `get -c` of a file whose answers are preceded by 103 Early Hints.
# Expected: RFC 9110 section 15.2: "A client MUST be able to parse one or more 1xx responses received prior to
# a final response, even if the client does not expect one." The file arrives whole.
# Seen: lftp takes 103 for the answer to its HEAD, and the real answer to the HEAD for the head of the GET. The
# rest of the stream is written as the file's content, so the local file begins with "HTTP/1.1 103 Early Hints",
# has the announced length, lacks the end of the file, and lftp exits 0. Without -c it fails: "103 Early Hints".
# What it means here: trainyard sends no 103; a proxy before it may.
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
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(DATA)
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
code=0
settings="set net:max-retries 2; set net:timeout 5"
timeout 30 "$tmp/root/usr/bin/lftp" -c "$settings; get -c $url -o $tmp/got" </dev/null || code=$?
first=$(head -n 1 "$tmp/got" | tr -d '\0\r')
echo "lftp exited $code; first line of the file: $first; bytes: $(stat -c %s "$tmp/got")"
[ "$code" = 0 ] && [ "$first" = "HTTP/1.1 103 Early Hints" ] && [ "$(stat -c %s "$tmp/got")" = 300000 ]
