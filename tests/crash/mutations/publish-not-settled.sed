# A settle with nothing but records makes no fence.
# file: daemon/arena/settle.c
/^int arena_settle/,/^}/s/settles = fence || table_is_staged(arena->table)/settles = fence/
