# An eviction is told as done, and its space given away, before its record is gone for good.
# file: daemon/arena/evict.c
# by: explore --what evict
s/^	retire_end(arena, alloc);/	TAILQ_INSERT_TAIL(\&arena->freeing, alloc, link);\n	ending_release(arena, alloc);/
s/^	return r < 0 ? r : (int)(before - \*left);/	return (int)(before - *left);/
/^static int free_durably/,/^}/{
/free_some/,/^}/s/^	r = arena_settle(arena);//
}
s/^#include "daemon.arena.events.h"/#include "daemon\/arena\/ending.h"\n&/
