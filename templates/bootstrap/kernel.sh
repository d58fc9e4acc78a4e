begin kernel
take {{length}} /etc/sysctl.d/60-belt.conf 0644
# A container may not set all of them: what the kernel refuses stays as its host has it.
sysctl -q -e -p /etc/sysctl.d/60-belt.conf >/dev/null 2>&1 || say note kernel some settings are fixed by the host
finish
