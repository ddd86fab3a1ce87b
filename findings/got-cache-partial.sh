#!/usr/bin/env bash
# got 14.6.6 (npm; with cacheable-request 13.0.19) and its `cache` option: ranges of one file, one after the other.
# Expected: RFC 9111 section 4: a stored response may be reused if it is complete, or its stored parts cover the
# request (sections 3.3, 3.4: "A cache MUST NOT use an incomplete response to answer requests unless the response
# has been made complete, or the request is partial and specifies a range wholly within the incomplete response").
# Seen: the 206 for bytes 0-9 is kept under the bare URL. The request for bytes 10-19 gets bytes 0-9, and one
# without Range gets the ten bytes with status 206, neither asks the server; with `Cache-Control: no-cache` it asks,
# and after the 304 gives the ten bytes all the same.
# What it means here: no header of a server helps but no-store: read ranges without the cache.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; fi; rm -rf "$tmp"' EXIT
npm install --silent --no-audit --no-fund --prefix "$tmp" got@14.6.6 cacheable-request@13.0.19 >/dev/null 2>&1 || exit 2
cat >"$tmp/server.py" <<'END'
import http.server, sys

DATA = b"0123456789abcdefghijklmnopqrstuvwxyz"

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        asked = self.headers.get("Range")
        first, last = map(int, asked[6:].split("-")) if asked else (0, len(DATA) - 1)
        known = self.headers.get("If-None-Match") == '"1"'
        self.send_response(304 if known else 206 if asked else 200)
        self.send_header("ETag", '"1"')
        self.send_header("Cache-Control", "no-cache" if self.path == "/checked" else "max-age=60")
        if not known:
            if asked:
                self.send_header("Content-Range", "bytes %d-%d/%d" % (first, last, len(DATA)))
            self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        if not known:
            self.wfile.write(DATA[first:last + 1])

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")
cat >"$tmp/ask.mjs" <<'END'
import got from "got";
const cache = new Map();
for (const path of ["/fresh", "/checked"])
  for (const range of ["bytes=0-9", "bytes=10-19", undefined]) {
    const answer = await got(process.argv[2] + path, { cache, headers: { range }, retry: { limit: 0 } });
    console.log(path, range ?? "whole", answer.statusCode, answer.body);
  }
process.exit(0);
END
timeout 60 node "$tmp/ask.mjs" "$url" | tee "$tmp/seen"
diff - "$tmp/seen" <<'END'
/fresh bytes=0-9 206 0123456789
/fresh bytes=10-19 206 0123456789
/fresh whole 206 0123456789
/checked bytes=0-9 206 0123456789
/checked bytes=10-19 206 0123456789
/checked whole 206 0123456789
END
