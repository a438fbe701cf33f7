# The record of a bundle goes before the words of what is replaced and freed.
# file: daemon/books/table.c
# by: explore --what bundle
/^int table_settle/,/^}/{
s/store_words(table, table->retired, table->nr_retired, false)/store_words(table, table->bundle, table->nr_bundle, false)/
t
s/store_words(table, table->bundle, table->nr_bundle, false)/store_words(table, table->retired, table->nr_retired, false)/
s/if (r == 0 \&\& table->nr_retired)/if (r == 0)/
}
