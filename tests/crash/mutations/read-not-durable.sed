# What a killed daemon left in a cache is believed and not flushed.
# file: daemon/arena/table_read.c
# by: explore --what kill --bound 8 --sample 2 --again 0
/^static int make_durable/,/^}/s/r = media_flush(.*);/r = 0;/;/^static int make_durable/,/^}/s/(uint64_t)(to - from) \* TABLE_SLOT_SIZE);/;/
