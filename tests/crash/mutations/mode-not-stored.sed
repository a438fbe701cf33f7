# A record does not say its mode.
# file: daemon/books/table.c
s/\.mode = htole16((uint16_t)record->mode),/.mode = htole16(0600),/
