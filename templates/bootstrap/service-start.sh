begin service
take {{length}} "$R/etc/belt/start" 0700
finish
