# A record does not say whose it is.
# file: daemon/books/table.c
s/\.uid = htole32(record->uid),/.uid = 0,/
