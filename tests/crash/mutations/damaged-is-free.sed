# A slot of which both copies are bad counts as free.
# file: daemon/books/table_read.c
# by: damage
/^static void decide/,/^}/s/slot->state = SLOT_DAMAGED;/slot->state = SLOT_FREE;/
