#!/usr/bin/env bash
# wget 1.21.3-1+deb12u1 (--compression=auto), wget2 1.99.1-2.2 (as it is), aria2 1.36.0-1 (--http-accept-gzip=true),
# Debian 12: a body with Content-Encoding: gzip that consists of two members, as `cat a.gz b.gz` or bgzip make.
# Expected: RFC 1952 section 2.2: "A gzip file consists of a series of members"; RFC 9110 section 8.4.1.3 names that
# format for the coding. The text of both members is saved.
# Seen: all three save the first member's text alone, with all bytes of the body received, and exit 0. (curl 7.88.1
# --compressed ends with an error, 23.)
# What it means here: trainyard sends the FILE.gz beside FILE as it is: make it with one member (gzip, pigz; not bgzip).
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
for package in wget=1.21.3-1+deb12u1 wget2=1.99.1-2.2 aria2=1.36.0-1; do
  unpack "$package" >/dev/null 2>&1 || exit 2
done
cat >"$tmp/server.py" <<'END'
import gzip, http.server, sys

TEXT = b"".join(b"line %07d\n" % number for number in range(20000))
open(sys.argv[1], "wb").write(TEXT)
BODY = gzip.compress(TEXT[:100000]) + gzip.compress(TEXT[100000:])
assert gzip.decompress(BODY) == TEXT

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    def do_GET(self):
        coded = "gzip" in self.headers.get("Accept-Encoding", "")
        self.send_response(200)
        if coded:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(BODY if coded else TEXT)))
        self.end_headers()
        self.wfile.write(BODY if coded else TEXT)

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
for tool in wget wget2 aria2c; do
  case $tool in
    wget) options=(-q --compression=auto -O "$tmp/wget") ;;
    wget2) options=(-q -O "$tmp/wget2") ;;
    aria2c) options=(-q --no-conf --http-accept-gzip=true -d "$tmp" -o aria2c) ;;
  esac
  code=0
  timeout 30 "$tmp/root/usr/bin/$tool" "${options[@]}" "$url" || code=$?
  echo "$tool exited $code; bytes: $(stat -c %s "$tmp/$tool") of $(stat -c %s "$tmp/original")"
  cmp -s "$tmp/$tool" <(head -c 100000 "$tmp/original") && [ "$code" = 0 ] || same=no
done
[ "$same" = yes ]
