begin runtime
folder "$R/opt/belt"
take {{length}} "$R/opt/belt/node.gz"
same "$R/opt/belt/node.gz" {{archive_sha256}} || { echo 'the runtime arrived damaged' >&2; exit 1; }
unpack_runtime {{sha256}}
finish
