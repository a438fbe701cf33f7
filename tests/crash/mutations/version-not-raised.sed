# A changed record has the version of the one that it takes the place of.
# file: daemon/arena/settle.c
s/record.version = arena_next_version(arena, alloc);/record.version = alloc->version ? alloc->version : 1;/
