#!/usr/bin/env bash
# parfive 2.3.1 (PyPI): the server says Accept-Ranges: bytes in answer to HEAD, and answers the GETs with 200.
# Expected: RFC 9110 section 14.2: "A server MAY ignore the Range header field." The 200 carries the whole
# file (as a proxy's or a compressing server's answer may), so a client goes by the status.
# Seen: parfive asks for five ranges, never looks whether 206 came, and writes each whole body at its range's
# offset: the file is 540000 bytes instead of 300000, damaged, and no error is reported.
# What it means here: trainyard answers one range of a file with 206; a proxy before it may not. max_splits=1 helps.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; fi; rm -rf "$tmp"' EXIT
python3 -m pip install -q --no-input --target "$tmp/py" parfive==2.3.1 aiohttp==3.14.5 >/dev/null 2>&1 || exit 2
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
errors=$(cd "$tmp" && timeout 60 python3 - "$url" <<'END'
import sys
from parfive import Downloader

downloader = Downloader(progress=False)
downloader.enqueue_file(sys.argv[1], path=".", filename="got")
print(len(downloader.download().errors))
END
)
echo "parfive reports $errors errors; bytes: $(stat -c %s "$tmp/got") of 300000"
[ "$errors" = 0 ] && [ "$(stat -c %s "$tmp/got")" = 540000 ] && ! cmp -s -n 300000 "$tmp/got" "$tmp/original"
