begin engine
wait_for_apt() { apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }
url={{install_url}}
version={{version}}
if [ -n "$url" ]; then
  script=$(mktemp)
  if command -v curl >/dev/null 2>&1; then curl -fsSL "$url" -o "$script"; else wget -qO "$script" "$url"; fi
  VERSION=$version sh "$script" >&2
  rm -f "$script"
elif command -v apt-get >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  wait_for_apt update >&2
  wait_for_apt install -y --no-install-recommends "docker.io${version:+=$version}" iptables ca-certificates >&2
else
  echo 'no apt-get here: install Docker Engine yourself, or set engine.install_url' >&2
  exit 1
fi
systemctl enable -q --now docker
tries=0
until [ -S /var/run/docker.sock ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { echo 'Docker Engine is installed and does not start' >&2; journalctl -u docker -n 5 -o cat >&2; exit 1; }
  sleep 0.2
done
finish
