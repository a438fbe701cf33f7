# The record of the part is durable, the ledger has the whole lease: the daemon that comes gives up what is left of it.
# file: daemon/arena/adopt.c
# by: explore --what kill --seed 3
s/r = subtract(arena, alloc, item);/r = -EEXIST;/
