# Freed space is free before the record that had it is gone.
# file: daemon/arena/retire.c
# by: explore --what reuse
s/TAILQ_INSERT_TAIL(&arena->retiring, alloc, link);/TAILQ_INSERT_TAIL(\&arena->freeing, alloc, link);\n\tif (TAILQ_EMPTY(\&alloc->holds))\n\t\tending_release(arena, alloc);/
s/^#include "daemon.arena.charge.h"/&\n#include "daemon\/arena\/ending.h"/
