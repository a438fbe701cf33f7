# An allocation that shrank has the space of its old record after a cut.
# file: daemon/arena/change.c
/^static int shrink/,/^}/s/r = settle_new_version(arena, alloc);/r = 0;/
