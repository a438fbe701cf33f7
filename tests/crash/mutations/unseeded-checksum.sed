# Words and checksums are the same in every arena and every slot: an older arena's records come back to life.
# file: daemon/books/table.c
# by: damage
/^uint64_t slot_live_word/,/^}/s/table->word_seed + .*);/UINT64_C(42));/
/^uint32_t slot_crc/,/^}/{
s/crc32c(table->crc_seed, &le, sizeof(le))/0/
s/uint32_t le = htole32(number);/(void)number;/
}
