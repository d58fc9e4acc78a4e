begin runtime
folder "$R/opt/belt"
ln -sfn -- {{target}} "$R/opt/belt/node"
finish
