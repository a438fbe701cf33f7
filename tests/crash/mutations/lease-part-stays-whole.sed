# What was carved off is still the lease's in memory: it can be carved twice, and goes back with it.
# file: daemon/arena/lease.c
/^int arena_carve/,/^}/s/take_out(lease, index, part, grown);/free(grown);/
