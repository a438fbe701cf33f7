# The version of a successor is not above that of what it replaces: nobody knows which one counts.
# file: daemon/arena/settle.c
# by: explore --what replace
s/record.version = arena_next_version(arena, alloc);/record.version = alloc->version + 1;/
