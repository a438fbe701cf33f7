# A ledger of before is made anew though somebody has the arena mapped: what sessions hold is given away.
# file: daemon/arena/belong.c
# by: belong
/^static int refuse_ledger/,/^}/s/!is_mapped/true/
