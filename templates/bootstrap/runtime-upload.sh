begin runtime
mkdir -p "$R/opt/belt"
take {{length}} "$R/opt/belt/node.gz" 0600
same "$R/opt/belt/node.gz" {{archive_sha256}} || { echo 'the runtime arrived damaged' >&2; exit 1; }
unpack_runtime {{sha256}}
finish
