# The record of a bundle never counts: a cut leaves a part of the changes.
# file: daemon/books/table.c
# by: explore --what bundle
/^int table_settle/,/^}/s/store_words(table, table->bundle, table->nr_bundle, true)/0/
