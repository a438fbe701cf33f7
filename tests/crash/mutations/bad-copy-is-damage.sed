# A slot with one good copy is not believed.
# file: daemon/books/table_read.c
/^static void decide/,/^}/s/else if (state\[0\] == COPY_GOOD || state\[1\] == COPY_GOOD)/else if (false)/
