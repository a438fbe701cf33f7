# A slot with its word is believed, whatever is in it.
# file: daemon/books/table_read.c
# by: damage
/^enum copy_state slot_judge/,/^}/s/le32toh(head.crc) != slot_crc(table, number, body)/false/
