current=certificate
take {{roots_length}} "$R/var/lib/belt/pki/ca.crt" 0600
take {{length}} "$R/var/lib/belt/pki/agent.crt" 0600
line=$(heard 60)
say said "$line"
finish
say finished
