# Gives the runtime's archive to the other machines of this datacenter until the conversation ends.
take {{length}} "$R/opt/belt/seed.mjs"
# `$$` is the conversation's own shell, also in the one that waits for the server here.
BELT_SEED_PATH={{path}} BELT_SEED_WHILE=$$ "$R/opt/belt/node" "$R/opt/belt/seed.mjs" "$R/opt/belt/node.gz" {{address}} {{ports}} || say unseeded &
