# What was cut off is free before the shorter record is there.
# file: daemon/arena/change.c
# by: explore --what reuse
/^static int shrink/,/^}/s/TAILQ_INSERT_TAIL(&arena->retiring, cut, link);/TAILQ_INSERT_TAIL(\&arena->freeing, cut, link);\n\tif (TAILQ_EMPTY(\&cut->holds))\n\t\tending_release(arena, cut);/
