# Words are stored in the first copy only.
# file: daemon/books/table.c
/^static int store_words/,/^}/s/copy < 2/copy < 1/
