# Says what is there. Changes nothing; one line a fact. BELT_ROOT is set where the machine is a folder of this one (`local`).
R=${BELT_ROOT:-}
umask 077
say() { printf 'belt: %s\n' "$*"; }
# Whether the agent runs: the process of that number began when the agent's did, and is not just waiting to be buried. Sets pid.
alive() {
  pid=
  [ -r "$R/var/lib/belt/agent.pid" ] && read -r pid began <"$R/var/lib/belt/agent.pid" || return 1
  { read -r line <"/proc/$pid/stat"; } 2>/dev/null || return 1
  set -- ${line##*) }
  [ "${20}" = "$began" ] && [ "$1" != Z ]
}
probe() {
  say fact root "$R"
  say fact user "$(id -u)"
  say fact arch "$(uname -m)"
  if [ -r /etc/os-release ]; then while IFS= read -r line; do case $line in ID=* | VERSION_ID=*) say fact os "$line" ;; esac; done </etc/os-release; fi
  if [ -z "$R" ] && [ -d /run/systemd/system ]; then say fact service systemd; else say fact service start; fi
  if [ -z "$R" ]; then
    say fact hostname "$(uname -n)"
    if docker=$(command -v dockerd 2>/dev/null); then say fact engine "$docker"; fi
  fi
  if [ -h "$R/opt/belt/node" ]; then say fact runtime-link "$(readlink "$R/opt/belt/node")"; fi
  if [ -x "$R/opt/belt/node" ] && [ -r "$R/opt/belt/node.sha256" ]; then read -r sum <"$R/opt/belt/node.sha256" && say fact runtime "$sum"; fi
  sha256sum "$R/opt/belt/belt-agent.mjs" "$R/etc/belt/agent.json" "$R/etc/belt/start" /etc/systemd/system/belt-agent.service /etc/sysctl.d/60-belt.conf 2>/dev/null |
    while read -r sum path; do case $path in "$R"/etc/systemd/* | "$R"/etc/sysctl.d/* | "$R"/opt/* | "$R"/etc/belt/*) say fact file "$sum" "${path#"$R"}" ;; esac; done
  if [ -r "$R/var/lib/belt/pki/agent.crt" ]; then say fact certificate "$(base64 <"$R/var/lib/belt/pki/agent.crt" | tr -d '\n')"; fi
  if [ -s "$R/var/lib/belt/pki/ca.crt" ]; then say fact roots "$(base64 <"$R/var/lib/belt/pki/ca.crt" | tr -d '\n')"; fi
  if [ -s "$R/var/lib/belt/pki/agent.key" ]; then say fact key there; fi
  if alive; then
    say fact running "$pid"
    for path in opt/belt/belt-agent.mjs opt/belt/node etc/belt/agent.json etc/belt/start; do
      if [ "$R/$path" -nt "$R/var/lib/belt/agent.pid" ]; then say fact outdated "$path"; fi
    done
  fi
  say end
}
probe
