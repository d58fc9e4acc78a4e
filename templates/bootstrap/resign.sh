begin certificate
take {{length}} "$R/var/lib/belt/pki/agent.crt"
if [ -n {{reload}} ]; then
  listen
  reload_agent
  line=$(heard 60)
  say said "$line"
fi
finish
