# A record is believed wherever it lies.
# file: daemon/books/table.c
# by: damage
/^uint64_t slot_live_word/,/^}/s/(number + UINT64_C(1))/1/
/^uint32_t slot_crc/,/^}/s/htole32(number)/number * 0/
