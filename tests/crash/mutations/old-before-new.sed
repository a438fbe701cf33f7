# The version that is replaced goes before the new one is there.
# file: daemon/books/table.c
/^int table_settle/,/^}/{
s/store_words(table, table->fresh, table->nr_fresh, true)/store_words(table, table->retired, table->nr_retired, false)/
t
s/store_words(table, table->retired, table->nr_retired, false)/store_words(table, table->fresh, table->nr_fresh, true)/
s/if (r == 0 \&\& table->nr_fresh)/if (r == 0 \&\& table->nr_fresh + table->nr_retired)/
s/if (r == 0 \&\& table->nr_retired)/if (r == 0 \&\& table->nr_fresh + table->nr_retired)/
}
