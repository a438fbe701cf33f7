# A reservation that is published leaves the ledger before its record is there.
# file: daemon/arena/reserve.c
# by: explore --what kill
s/r = settle_unledger_later(arena, alloc->entry);/ledger_remove(arena->ledger, alloc->entry);/
