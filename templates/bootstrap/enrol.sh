begin certificate
# A certificate for another key is worth nothing: the agent waits for the one that comes now.
gone "$R/var/lib/belt/pki/agent.crt"
listen
restart_agent
line=$(heard 60)
say said "$line"
