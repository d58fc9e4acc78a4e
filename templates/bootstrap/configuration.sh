begin configuration
take {{length}} "$R/etc/belt/agent.json"
finish
