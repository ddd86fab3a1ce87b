#!/usr/bin/env bash
# nginx 1.22.1-9+deb12u11 (Debian 12) as a cache with `slice`: the origin's tag is W/"1" while the file is young and "1"
# from then on, as Apache has it for a file that was changed in the second before.
# Expected: RFC 9110 section 8.8.1 lets an origin do so, and W/"1" and "1" match by the weak comparison (section
# 8.8.3.2); what cannot be combined is fetched anew.
# Seen: the slice that was kept with the weak tag stays. Each later request for the whole file sends the head and
# that slice, meets "etag mismatch in slice response" at the next one and breaks off, until the cache's time is up
# (here an hour), although the origin's file has not changed at all.
# What it means here: trainyard's tags, too, are weak while a file is young: let such a cache in when the files rest.
set -euo pipefail
tmp=$(mktemp -d)
server=
nginx=
# shellcheck disable=SC2086 # the processes that were started
trap 'kill $server $nginx || true; wait; rm -rf "$tmp"' EXIT
# Unpacks the package of that exact version, and what it needs that is not installed here.
unpack() {
  local wanted
  wanted=$(apt-get -s install --no-install-recommends "$1" |
    awk '/^Inst/{v=$0; sub(/^[^(]*\(/, "", v); sub(/ .*/, "", v); print $2 "=" v}')
  # shellcheck disable=SC2086 # one word a package
  (cd "$tmp" && apt-get -qq download "$1" $wanted && for deb in ./*.deb; do dpkg -x "$deb" root; done)
}
unpack nginx=1.22.1-9+deb12u11 >/dev/null 2>&1 || exit 2
cat >"$tmp/server.py" <<'END'
import http.server, random, sys

DATA = random.Random(1).randbytes(300000)
open(sys.argv[1], "wb").write(DATA)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_):
        pass
    young = True
    def do_GET(self):
        first, last = map(int, self.headers["Range"][6:].split("-"))
        last = min(last, len(DATA) - 1)
        self.send_response(206)
        self.send_header("Content-Range", "bytes %d-%d/%d" % (first, last, len(DATA)))
        self.send_header("ETag", 'W/"1"' if Handler.young else '"1"')
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(DATA[first:last + 1])
        Handler.young = False

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/server.py" "$tmp/original" >"$tmp/port" &
server=$!
for _ in {1..50}; do [ -s "$tmp/port" ] && break; sleep 0.1; done
[ -s "$tmp/port" ] || exit 2
url=http://127.0.0.1:$(cat "$tmp/port")/file
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$tmp/nginx.conf" <<END
daemon off; master_process off; pid $tmp/nginx.pid; error_log $tmp/error.log; events {}
http {
  access_log off; client_body_temp_path $tmp/t1; proxy_temp_path $tmp/t2; fastcgi_temp_path $tmp/t3;
  uwsgi_temp_path $tmp/t4; scgi_temp_path $tmp/t5;
  proxy_cache_path $tmp/cache keys_zone=slices:1m;
  server {
    listen 127.0.0.1:$port;
    location / {
      slice 100k; proxy_cache slices; proxy_cache_key \$uri\$slice_range; proxy_cache_valid 200 206 1h;
      proxy_set_header Range \$slice_range; proxy_http_version 1.1;
      proxy_pass ${url%/file};
    }
  }
}
END
"$tmp/root/usr/sbin/nginx" -c "$tmp/nginx.conf" -e "$tmp/error.log" 2>/dev/null &
nginx=$!
for _ in {1..50}; do [ -s "$tmp/nginx.pid" ] && break; sleep 0.1; done
[ -s "$tmp/nginx.pid" ] || exit 2
sizes=
for _ in 1 2 3; do
  sizes+=" $({ curl -s "http://127.0.0.1:$port/file" || true; } | wc -c)"
done
mismatches=$(grep -c 'etag mismatch in slice response' "$tmp/error.log" || true)
echo "bytes of 300000 that three requests got:$sizes; mismatches: $mismatches"
[ "$sizes" = " 102400 102400 102400" ] && [ "$mismatches" = 3 ]
