# The word goes out with the body, which it must vouch for.
# file: daemon/books/table.c
/^static int store_body/,/^}/{
s/slot_off(table, copy, number) + sizeof(uint64_t)/slot_off(table, copy, number)/
s/int r = media_store(.*);/uint64_t word = htole64(slot_live_word(table, number));\n\tuint8_t whole[TABLE_SLOT_SIZE];\n\tint r;\n\n\tmemcpy(whole, body, sizeof(whole));\n\tmemcpy(whole, \&word, sizeof(word));\n\tr = media_store(table->media, off, whole, TABLE_SLOT_SIZE);/
}
