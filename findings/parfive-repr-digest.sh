#!/usr/bin/env bash
# parfive 2.3.1 (PyPI) with checksum=True: it asks with Want-Repr-Digest, and the server answers Repr-Digest.
# Expected: RFC 9530 section 2: `Repr-Digest: sha-256=:BASE64=:` is a byte sequence of RFC 8941; a file that does
# not agree with it is refused, as parfive's documentation of `checksum` promises.
# Seen: parfive splits the field at each "=" and wants hexadecimal digits. The base64 of every SHA-256 and
# SHA-512 ends in "=", so each such field is "invalid", an invalid one passes, and a file with a bit turned over on
# the way is reported as a success. Only the form that RFC 9530 does not have (sha-256=HEX) is checked.
# What it means here: trainyard sends no digest fields; a checksum given to parfive by hand as HEX is checked.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; fi; rm -rf "$tmp"' EXIT
python3 -m pip install -q --no-input --target "$tmp/py" parfive==2.3.1 aiohttp==3.14.5 >/dev/null 2>&1 || exit 2
export PYTHONPATH=$tmp/py PYTHONDONTWRITEBYTECODE=1
cat >"$tmp/server.py" <<'END'
import base64, hashlib
import http.server, random, sys

DATA = random.Random(1).randbytes(300000)
open(sys.argv[1], "wb").write(DATA)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        digest = hashlib.sha256(DATA).digest()
        form = digest.hex() if self.path == "/hex" else ":%s:" % base64.b64encode(digest).decode()
        print(self.headers.get("Want-Repr-Digest"), file=sys.stderr, flush=True)
        self.send_response(200)
        self.send_header("Repr-Digest", "sha-256=" + form)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(bytes([DATA[0] ^ 1]) + DATA[1:])
    do_HEAD = do_GET

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" 2>"$tmp/wanted" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
errors() {
  (cd "$tmp" && timeout 60 python3 - "$1" 2>/dev/null <<'END'
import sys
from parfive import Downloader

downloader = Downloader(progress=False)
downloader.enqueue_file(sys.argv[1], path=".", filename="got", checksum=True, overwrite=True)
print(len(downloader.download().errors))
END
  )
}
standard=$(errors "$url")
hexadecimal=$(errors "${url%/file}/hex")
echo "asked with Want-Repr-Digest: $(head -n 1 "$tmp/wanted")"
echo "errors for a damaged file: $standard with the standard's Repr-Digest, $hexadecimal with a hexadecimal one"
[ "$standard" = 0 ] && [ "$hexadecimal" = 1 ] && grep -q sha-256 "$tmp/wanted"
