# Gives the runtime's archive to the other machines of this datacenter until the conversation ends.
take {{length}} "$R/opt/belt/seed.mjs" 0600
BELT_SEED_PATH={{path}} "$R/opt/belt/node" "$R/opt/belt/seed.mjs" "$R/opt/belt/node.gz" {{address}} {{ports}} || say unseeded &
