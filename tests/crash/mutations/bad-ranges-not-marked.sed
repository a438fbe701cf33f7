# Recovery reads the bad ranges and gives them out.
# file: daemon/arena/recover.c
s/r = mark_bad_ranges(arena);/r = 0;/
