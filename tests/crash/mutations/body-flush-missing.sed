# Bodies are stored and never flushed.
# file: daemon/books/table.c
/^static int store_body/,/^}/s/media_flush(.*);/0;/
