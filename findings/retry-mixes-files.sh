#!/usr/bin/env bash
# wget 1.21.3-1+deb12u1 and aria2 1.36.0-1 (Debian 12): the connection breaks after 120000 of 300000 bytes, and the
# file is replaced before they ask again (another ETag, another Last-Modified, the same length).
# Expected: RFC 9110 section 15.3.7.3: parts may be combined only "if they share the same strong validator"; section
# 13.1.5: If-Range asks for the rest or, had the file changed, for the whole.
# Seen: both ask `Range: bytes=N-` without If-Range, do not compare the validators of the 206 with those of the
# 200, put the new file's end behind the old one's beginning, and exit 0: a file that never was.
# What it means here: trainyard honours If-Range, but these do not ask with it: give a new version a new name.
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
{ unpack wget=1.21.3-1+deb12u1 && unpack aria2=1.36.0-1; } >/dev/null 2>&1 || exit 2
cat >"$tmp/server.py" <<'END'
import http.server, random, sys

OLD, NEW = (random.Random(seed).randbytes(300000) for seed in (1, 2))
for name, data in ("old", OLD), ("new", NEW):
    open(sys.argv[1] + "-" + name, "wb").write(data)
asked = set()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        new = self.path in asked
        asked.add(self.path)
        etag = '"new"' if new else '"old"'
        ranged = "Range" in self.headers and self.headers.get("If-Range", etag) == etag
        start = int(self.headers["Range"][6:].split("-")[0]) if ranged else 0
        self.send_response(206 if ranged else 200)
        if ranged:
            self.send_header("Content-Range", "bytes %d-299999/300000" % start)
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", ("Mon, 02" if new else "Sun, 01") + " Jun 2025 10:00:00 GMT")
        self.send_header("Content-Length", str(300000 - start))
        self.end_headers()
        self.wfile.write(NEW[start:] if new else OLD[:120000])
        self.close_connection = not new

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
same=yes
for tool in wget aria2c; do
  case $tool in
    wget) options=(-q --tries=3 --waitretry=0 -O "$tmp/wget") ;;
    aria2c) options=(-q --no-conf -x1 --max-tries=3 --retry-wait=0 -d "$tmp" -o aria2c) ;;
  esac
  code=0
  timeout 30 "$tmp/root/usr/bin/$tool" "${options[@]}" "$url-$tool" || code=$?
  old=$({ cmp "$tmp/$tool" "$tmp/original-old" || true; } | awk -F '[ ,]+' '{print $5 - 1}')
  echo "$tool exited $code; the first $old bytes are the old file's"
  cmp -s <(tail -c +$((old + 1)) "$tmp/$tool") <(tail -c +$((old + 1)) "$tmp/original-new") || same=no
  [ "$code" = 0 ] && [ "$old" -gt 0 ] || same=no
done
[ "$same" = yes ]
