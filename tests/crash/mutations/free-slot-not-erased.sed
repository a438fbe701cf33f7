# A slot that is free again keeps its word in the second copy.
# file: daemon/books/table.c
/^static int store_words/,/^}/s/for (int copy = 0; copy < 2 \&\& r == 0; copy++)/for (int copy = 0; copy < (live ? 2 : 1) \&\& r == 0; copy++)/
