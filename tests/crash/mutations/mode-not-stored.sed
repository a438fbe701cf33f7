# A record does not say its mode.
# file: daemon/arena/table.c
s/\.mode = htole32(record->mode),/.mode = htole32(0600),/
