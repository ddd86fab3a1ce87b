#!/usr/bin/env bash
# pget 0.5.1 (PyPI): a download in eight connections from an ordinary server with ranges.
# Expected: each connection asks for its own eighth (RFC 9110 section 14.2) and the file is the server's.
# Seen: all threads write their Range into one shared dictionary, so some eighths are asked for twice and others
# never: the file has the right length and the wrong content, without an error. A race, but it is lost nearly
# always: the script tries ten times and wants two damaged files.
# What it means here: nothing that a server sends helps: compare a checksum, or use another client.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; fi; rm -rf "$tmp"' EXIT
python3 -m pip install -q --no-input --target "$tmp/py" pget==0.5.1 requests==2.34.2 >/dev/null 2>&1 || exit 2
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
        asked = self.headers.get("Range")
        first, last = map(int, asked[6:].split("-")) if asked else (0, len(DATA) - 1)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first, last, len(DATA)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(DATA[first:last + 1])

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" 2>/dev/null &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
damaged=0
for _ in {1..10}; do
  timeout 60 python3 -W ignore - "$url" "$tmp/got" <<'END' >/dev/null
import sys
from pget.down import Downloader

Downloader(sys.argv[1], sys.argv[2], 8).start_sync()
END
  [ "$(stat -c %s "$tmp/got")" = 300000 ] || exit 1
  cmp -s "$tmp/got" "$tmp/original" || damaged=$((damaged + 1))
  [ "$damaged" -lt 2 ] || break
done
echo "damaged files of the right length, without an error: $damaged"
[ "$damaged" = 2 ]
