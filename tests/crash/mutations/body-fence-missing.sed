# The words of new records are not ordered behind their bodies.
# file: daemon/books/table.c
/^int table_settle/,/^}/s/r = media_fence(table->media);/r = 0;/
