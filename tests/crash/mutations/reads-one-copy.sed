# Recovery believes the first copy of a record, good or bad.
# file: daemon/books/table_read.c
# by: damage
s/copy < 2/copy < 1/
