begin service
take {{length}} /etc/systemd/system/belt-agent.service 0644
systemctl daemon-reload
systemctl enable -q belt-agent
finish
