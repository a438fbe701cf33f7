# A copy that is wrong is left so.
# file: daemon/books/table_read.c
/^static int mend(/,/^}/s/if (!slot->copy_bad\[copy\])/if (true)/
