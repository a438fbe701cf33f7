# A daemon that was killed forgets what was freed and is still mapped.
# file: daemon/arena/adopt.c
s/r = adopt_ranges(arena, LEDGER_FREEING);/r = 0;/
