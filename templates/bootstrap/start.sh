begin start
listen
restart_agent
line=$(heard 60)
say said "$line"
finish
