# Freed space is free before the record that had it is gone.
# file: daemon/arena/release.c
# by: explore --what reuse
/^int arena_free_alloc/,/^}/s/TAILQ_INSERT_TAIL(&arena->retiring, alloc, link);/TAILQ_INSERT_TAIL(\&arena->freeing, alloc, link);\n\tif (TAILQ_EMPTY(\&alloc->holds))\n\t\tending_release(arena, alloc);/
