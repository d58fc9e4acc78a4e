# The words in which the steps below are written. A step that fails ends the conversation and is named.
set -eu
umask 077
current=start
begin() { current=$1; say begin "$1"; }
finish() { say done "$current"; }
trap 'code=$?; [ "$code" = 0 ] || say failed "$current" "$code"' EXIT

# What is so already starts no program: on many machines of one host that is what a bootstrap costs beside the agents.
folder() { [ -d "$1" ] || mkdir -p "$1"; }
gone() { [ ! -e "$1" ] || rm -f "$1"; }

# take LENGTH PATH [MODE]: the next LENGTH bytes of the conversation become the file, whole or not at all; ours alone where no mode is given.
take() {
  folder "${2%/*}"
  head -c "$1" >"$2.new"
  [ "$(wc -c <"$2.new")" -eq "$1" ] || { echo "the connection broke while $2 was sent" >&2; return 1; }
  [ -z "${3-}" ] || chmod "$3" "$2.new"
  mv -f "$2.new" "$2"
}

# same FILE SHA256
same() { [ "$(sha256sum <"$1" | cut -c1-64)" = "$2" ]; }

systemd() { [ -z "$R" ] && [ -d /run/systemd/system ]; }

# The agent says on this pipe what it has to say to bootstrap: its request for a certificate, or that it is ready.
pipe=$R/var/lib/belt/enrol
listen() {
  folder "$R/var/lib/belt"
  [ -p "$pipe" ] || { gone "$pipe"; mkfifo "$pipe"; }
  exec 3<>"$pipe"
}
heard() { timeout "$1" head -n 1 <&3 || { echo "the agent did not start within $1 s" >&2; complain; return 1; }; }
complain() {
  if systemd; then journalctl -u belt-agent -n 5 -o cat >&2 2>/dev/null || true
  else tail -n 5 "$R/var/log/belt-agent.log" >&2 2>/dev/null || true; fi
}

stop_agent() {
  alive || return 0
  kill "$pid" 2>/dev/null || return 0
  tries=0
  while alive; do
    tries=$((tries + 1))
    if [ "$tries" = 100 ]; then kill -9 "$pid" 2>/dev/null || true; fi
    sleep 0.1
  done
}
restart_agent() {
  if systemd; then systemctl restart belt-agent
  else
    stop_agent
    folder "$R/var/log"
    setsid "$R/etc/belt/start" </dev/null >>"$R/var/log/belt-agent.log" 2>&1 3>&- &
  fi
}
reload_agent() {
  if systemd; then systemctl reload belt-agent
  else alive && kill -HUP "$pid"; fi
}

# unpack_runtime SHA256: node.gz becomes the runtime, which is known by its checksum from then on.
unpack_runtime() {
  gunzip -c "$R/opt/belt/node.gz" >"$R/opt/belt/node.new"
  same "$R/opt/belt/node.new" "$1" || { echo 'the runtime was packed wrongly' >&2; return 1; }
  chmod 0755 "$R/opt/belt/node.new"
  mv -f "$R/opt/belt/node.new" "$R/opt/belt/node"
  printf '%s\n' "$1" >"$R/opt/belt/node.sha256"
}
