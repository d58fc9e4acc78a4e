begin configuration
take {{length}} "$R/etc/belt/agent.json" 0600
finish
