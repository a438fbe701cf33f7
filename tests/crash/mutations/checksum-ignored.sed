# A slot with its word is believed, whatever is in it.
# file: daemon/arena/table_read.c
# by: damage
/^static enum copy_state judge/,/^}/s/le32toh(head.crc) != slot_crc(table, number, body)/false/
