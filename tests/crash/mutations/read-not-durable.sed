# What a killed daemon left in a cache is believed and not flushed.
# file: daemon/books/table_read.c
# by: explore --what kill --bound 8 --sample 2 --again 0
/^static int make_durable/,/^}/{
/r = media_flush(/{
N
s/r = media_flush(.*);/r = 0;/
}
}
