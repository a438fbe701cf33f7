# Bits are stored and never flushed.
# file: daemon/books/zeromap.c
/^static int change/,/^}/s/return r < 0 || !changed ? r : flush_words(map, first, last);/return r;/
