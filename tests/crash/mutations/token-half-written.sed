# The upper bits of a token are in memory only.
# file: daemon/books/table.c
/^static void encode_first/,/^}/s/\.token_high = .*$/.token_high = 0,/
