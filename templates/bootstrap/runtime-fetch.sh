begin runtime
folder "$R/opt/belt"
# fetch HOST:PORT PATH FILE, with what the machine has: curl, wget, or bash's own sockets.
fetch() {
  if command -v curl >/dev/null 2>&1; then curl -fsS --max-time 600 -o "$3" "http://$1/$2"
  elif command -v wget >/dev/null 2>&1; then wget -q -T 600 -O "$3" "http://$1/$2"
  elif command -v bash >/dev/null 2>&1; then timeout 600 bash -c '
    exec 9<>"/dev/tcp/${1%:*}/${1##*:}" && printf "GET /%s HTTP/1.0\r\n\r\n" "$2" >&9
    IFS= read -r status <&9; case $status in *" 200 "*) ;; *) exit 1 ;; esac
    while IFS= read -r line <&9; do [ "${#line}" -gt 1 ] || break; done
    cat <&9 >"$3"' fetch "$@"
  else return 1; fi
}
if fetch {{seed}} {{path}} "$R/opt/belt/node.gz" && same "$R/opt/belt/node.gz" {{archive_sha256}}; then
  unpack_runtime {{sha256}}
  rm -f "$R/opt/belt/node.gz"
  finish
else
  rm -f "$R/opt/belt/node.gz"
  say unfetched
fi
