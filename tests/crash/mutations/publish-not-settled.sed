# A settle with nothing but records makes no fence.
# file: daemon/arena/arena.c
/^int arena_settle/,/^}/s/if (fence || table_is_staged(arena->table))/if (fence)/
