#!/usr/bin/env bash
# lftp 4.9.2-2+b1 (Debian 12): `mirror` of a listing with names that begin with a tilde.
# Expected: RFC 3986 section 2.3: "~" is unreserved, and `~a` and `%7Ea` are the same; lftp(1), mirror: the whole
# folder is fetched.
# Seen: what begins with a tilde is left out, without a word, and lftp exits 0, however the listing writes it: `~a`,
# `%7Eb`, `./~c`, `/~d`, a folder. A tilde elsewhere in a name does no harm.
# What it means here: no spelling in a listing helps, so trainyard writes the names as they are.
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
import http.server

NAMES = ["plain", "~a", "%7Eb", "~folder/", "./~c", "/~d", "x~e"]
LISTING = "<html><body><pre>\n%s</pre></body></html>\n" % "".join(
    '<a href="%s">%s</a>   2025-06-01 10:00   1\n' % (name, name.lstrip("./")) for name in NAMES)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        page = self.path.endswith("/")
        body = (LISTING if self.path == "/" else "<html></html>" if page else "x").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if page else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
    do_HEAD = do_GET

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/
LD_LIBRARY_PATH=$(find "$tmp/root" -name "*.so*" -printf "%h\n" | sort -u | paste -sd:)
export LD_LIBRARY_PATH
code=0
settings="set net:max-retries 2; set net:timeout 5"
timeout 60 "$tmp/root/usr/bin/lftp" -c "$settings; mirror $url $tmp/copy" </dev/null || code=$?
names=$(cd "$tmp/copy" && find . -mindepth 1 | LC_ALL=C sort | tr '\n' ' ')
echo "lftp exited $code; copied: $names"
[ "$code" = 0 ] && [ "$names" = "./plain ./x~e " ]
