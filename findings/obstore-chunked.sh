#!/usr/bin/env bash
# obstore 0.12.1 (PyPI; the object_store crate's HTTP store): a 200 with Transfer-Encoding: chunked.
# Expected: RFC 9112 sections 6.2, 6.3: the chunked coding gives the body its length, and a sender MUST NOT send a
# Content-Length with it. The file can be read (a server that makes or encodes a body on the way sends it so).
# Seen: get() fails before it reads a byte of the body: "Content-Length Header missing from response". The same
# file with a Content-Length is read.
# What it means here: trainyard sends each file with Content-Length.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; fi; rm -rf "$tmp"' EXIT
python3 -m pip install -q --no-input --target "$tmp/py" obstore==0.12.1 >/dev/null 2>&1 || exit 2
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
        chunked = self.path.startswith("/chunked")
        self.send_response(200)
        self.send_header("Last-Modified", "Sun, 01 Jun 2025 10:00:00 GMT")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(DATA)))))
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(DATA), DATA) if chunked else DATA)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
timeout 60 python3 - "${url%/file}" <<'END'
import sys
import obstore
from obstore.store import HTTPStore

def get(folder):
    store = HTTPStore.from_url(sys.argv[1] + folder, client_options={"allow_http": True})
    try:
        return str(len(obstore.get(store, "file").bytes())) + " bytes"
    except obstore.exceptions.BaseError as error:
        return str(error).splitlines()[0]

plain, chunked = get("/plain"), get("/chunked")
print("with Content-Length:", plain, "- chunked:", chunked)
sys.exit(0 if plain == "300000 bytes" and "Content-Length Header missing" in chunked else 1)
END
