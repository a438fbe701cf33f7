# What is cut off while somebody has it mapped is not written down for the next daemon.
# file: daemon/arena/change.c
# by: explore --seed 3 --flavour dax-4k --what random
/int r = ledger_add_range(&cut->entry/{
N
s/ledger_add_range(.*);/range.id ? 0 : -1;/
}
