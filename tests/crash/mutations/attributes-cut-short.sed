# Of the attributes only what fits into the first slot of a record is written.
# file: daemon/books/table.c
# by: explore --what attributes
s/if (at >= attributes) {/if (at >= attributes \&\& at >= TABLE_FIRST_PAYLOAD) { unit = 0; } else if (at >= attributes) {/
