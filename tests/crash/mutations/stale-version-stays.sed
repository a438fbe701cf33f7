# What a cut left of other versions is not retired.
# file: daemon/arena/recover.c
/^static int retire_stale/,/^}/s/table_retire(.*);/0;/
