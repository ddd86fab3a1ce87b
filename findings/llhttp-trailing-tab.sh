#!/usr/bin/env bash
# undici 7.30.2 (npm; its parser is llhttp, which Node's own http shares): a tab after a field's value.
# Expected: RFC 9112 section 5 allows optional whitespace, which is space or tab (RFC 9110 section 5.6.3), after
# the value, and it is no part of the value. So `Transfer-Encoding: chunked` and `Content-Length: 5` mean the
# same with a tab behind them.
# Seen: "chunked" and a tab is not taken for chunked: the chunk sizes are handed out as content, without an error.
# "5" and a tab is an error. A space in the same places, and a tab before the value, are read well.
# What it means here: trainyard writes no whitespace behind a value.
set -euo pipefail
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; fi; rm -rf "$tmp"' EXIT
npm install --silent --no-audit --no-fund --prefix "$tmp" undici@7.30.2 >/dev/null 2>&1 || exit 2
cat >"$tmp/server.py" <<'END'
import socketserver

ANSWERS = {
    b"/chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"/chunked-space": b"Transfer-Encoding: chunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"/chunked-tab": b"Transfer-Encoding: chunked\t\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"/tab-length": b"Content-Length:\t5\r\n\r\nhello",
    b"/length-tab": b"Content-Length: 5\t\r\n\r\nhello",
}

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        path = self.rfile.readline().split()[1]
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + ANSWERS[path])

server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")
read_with_undici() {
  node - "$url$1" <<'END'
const { request } = require("undici");
request(process.argv[2]).then(async ({ body }) => console.log(JSON.stringify(await body.text())),
  () => console.log("an error"));
END
}
cd "$tmp"
for path in /chunked /chunked-space /chunked-tab /tab-length /length-tab; do
  echo "$path $(read_with_undici $path)"
done | tee seen
diff - seen <<'END'
/chunked "hello"
/chunked-space "hello"
/chunked-tab "5\r\nhello\r\n0\r\n\r\n"
/tab-length "hello"
/length-tab an error
END
