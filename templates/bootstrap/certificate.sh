current=certificate
take {{roots_length}} "$R/var/lib/belt/pki/ca.crt"
take {{length}} "$R/var/lib/belt/pki/agent.crt"
line=$(heard 60)
say said "$line"
finish
say finished
