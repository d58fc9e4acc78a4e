begin hostname
printf '%s\n' {{name}} >/etc/hostname
hostname {{name}} 2>/dev/null || echo {{name}} >/proc/sys/kernel/hostname
if ! grep -qw -- {{name}} /etc/hosts 2>/dev/null; then printf '127.0.1.1 %s\n' {{name}} >>/etc/hosts; fi
finish
