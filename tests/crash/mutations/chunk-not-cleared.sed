# What lay in a new chunk before is left there.
# file: daemon/books/table.c
/^static int init_chunk/,/^}/{
s/= media_zero(.*);/= 0;/
/r = media_store64(/{
N
s/r = media_store64(.*);/r = 0;/
}
}
