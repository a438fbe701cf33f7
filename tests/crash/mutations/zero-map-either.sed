# A page is known to be zero when one of the two copies says so.
# file: daemon/books/zeromap.c
# by: damage
/^static int and_piece/,/^}/s/words\[i\] &= le64toh/words[i] |= le64toh/
/^int zeromap_open/,/^}/s/memset(map->words, 0xff, len)/memset(map->words, 0, len)/
