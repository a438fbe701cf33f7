# A retired slot is taken again before its retirement is durable.
# file: daemon/books/table.c
/^int table_retire/,/^}/s/return 0;/slot_unclaim(table, slots, nr);\n\treturn 0;/
