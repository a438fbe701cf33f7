# What is cut off while somebody has it mapped is not written down for the next daemon.
# file: daemon/arena/change.c
# by: explore --seed 3 --flavour dax-4k --what random
s/int r = ledger_add_range(&cut->entry, arena->ledger, &range, cut->extents, cut->nr_extents, NULL, 0);/int r = range.id ? 0 : -1;/
