# A zero bit is taken back in one copy only.
# file: daemon/books/zeromap.c
/^static int store_word/,/^}/s/copy < 2/copy < 1/
