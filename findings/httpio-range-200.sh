#!/usr/bin/env bash
# httpio 0.3.0 (PyPI): a seekable file over HTTP; the server answers ranges with 200, and the whole file.
# Expected: RFC 9110 section 14.2: "A server MAY ignore the Range header field"; the reader skips to its place or
# raises HTTPIOError.
# Seen: seek(150000) and read(10) give the bytes at 18928, which is 150000's place within its block of 65536: the
# body of the 200 is taken for the block that was asked for. Nothing is raised.
# What it means here: trainyard answers one range of a file with 206 whenever the request has no false If-Range.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; fi; rm -rf "$tmp"' EXIT
python3 -m pip install -q --no-input --target "$tmp/py" httpio==0.3.0 requests==2.34.2 >/dev/null 2>&1 || exit 2
export PYTHONPATH=$tmp/py PYTHONDONTWRITEBYTECODE=1
cat >"$tmp/server.py" <<'END'
import http.server, random, sys

DATA = random.Random(1).randbytes(300000)
open(sys.argv[1], "wb").write(DATA)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
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
timeout 60 python3 -W ignore - "$url" "$tmp/original" <<'END'
import sys
import httpio

original = open(sys.argv[2], "rb").read()
with httpio.open(sys.argv[1], block_size=65536) as remote:
    remote.seek(150000)
    got = remote.read(10)
print("read at 150000:", got.hex(), "there:", original[150000:150010].hex())
print("these are the bytes at", original.find(got))
sys.exit(0 if original.find(got) == 150000 % 65536 else 1)
END
