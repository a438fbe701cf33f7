# Who is acknowledged after the words has no fence behind them.
# file: daemon/books/table.c
/^static int store_words/,/^}/s/return media_fence(table->media);/return 0;/
