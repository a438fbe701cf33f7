# The bit is not cleared when a page is handed out.
# file: daemon/space/space.c
/^static int prepare_extents/,/^}/s/r = zeromap_clear(.*);/r = 0;/
