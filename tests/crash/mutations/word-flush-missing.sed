# Words are stored and never flushed.
# file: daemon/arena/table.c
/^static int store_words/,/^}/s/r = media_flush(.*);/r = 0;/
