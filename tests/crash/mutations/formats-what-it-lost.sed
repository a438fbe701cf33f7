# A device without superblocks is blank.
# file: daemon/arena/format.c
# by: damage
/^static int open_for_format/,/^}/s/return r < 0 || params->force ? r : check_no_table.*/return r;/
