#!/usr/bin/env bash
# zsync 0.6.2 gives up when a request for many ranges is answered with the whole file.
#
# zsync gets what changed of a file: it asks for up to 20 ranges in one request. RFC 9110, section 14.2, lets a server
# answer with 200 and the whole file instead, and section 17.15 advises it where there are many ranges. A client
# can then take the file as it comes, or ask for fewer ranges. zsync does neither: it says that the server has no
# partial content, leaves FILE.part, and ends with 2. With few changes, the same server serves it.
#
# Here the server is nginx with `max_ranges 16`. trainyard, too, answers more than 16 ranges with the whole file: who
# uses zsync with a file of which much has changed gets it by another client.
#
# Needs Debian 12 and the network: takes the packages zsync 0.6.2-5 and nginx into a temporary folder.
set -euo pipefail

work=$(mktemp -d)
server=
stop() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || :; fi
  wait
  rm -rf "$work"
}
trap stop EXIT
chmod 755 "$work"
cd "$work"
unset http_proxy HTTP_PROXY
port=$((20000 + RANDOM % 10000))

for package in zsync=0.6.2-5 nginx; do apt-get -qq download "$package" 2>/dev/null; done
for package in *.deb; do dpkg -x "$package" programs; done
PATH=$work/programs/usr/bin:$work/programs/usr/sbin:$PATH

mkdir site
head -c 4000000 /dev/urandom >site/file
(cd site && zsyncmake -u file file 2>/dev/null)
# change COUNT: makes an older file that differs in so many places.
change() {
  local place
  cp site/file "older-$1"
  for ((place = 0; place < $1; place++)); do
    printf changed | dd of="older-$1" bs=1 seek=$((place * 150000 + 1000)) conv=notrunc status=none
  done
}
change 4
change 20

cat >nginx.conf <<CONFIGURATION
daemon off;
master_process off;
pid $work/nginx.pid;
error_log $work/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $work/body;
  proxy_temp_path $work/proxy;
  fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi;
  scgi_temp_path $work/scgi;
  max_ranges 16;
  server {
    listen unix:$work/socket;
    listen 127.0.0.1:$port;
    root $work/site;
  }
}
CONFIGURATION
nginx -p "$work" -c nginx.conf 2>/dev/null &
server=$!
for _ in $(seq 50); do
  if [ -S socket ]; then break; fi
  sleep 0.1
done

# get COUNT: the new file, of the older one that differs in so many places.
get() {
  (mkdir "got-$1" && cd "got-$1" && zsync -i "../older-$1" http://127.0.0.1:$port/file.zsync >said 2>&1)
}
get 4 || { echo "not even four ranges: $(tail -n 3 got-4/said)"; exit 1; }
cmp site/file got-4/file
status=0
get 20 || status=$?
if [ $status != 2 ] || [ -e got-20/file ] || ! grep -q 'not a partial content response' got-20/said; then
  echo "zsync ended with $status: $(tail -n 3 got-20/said)"
  exit 1
fi
