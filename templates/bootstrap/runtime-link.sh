begin runtime
mkdir -p "$R/opt/belt"
ln -sfn -- {{target}} "$R/opt/belt/node"
finish
