# An allocation that shrank has the space of its old record after a cut.
# file: daemon/arena/change.c
/^static int shrink/,/^}/s/r = new_version(arena, alloc);/r = 0;/
