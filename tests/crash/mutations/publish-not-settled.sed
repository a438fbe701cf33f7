# A settle with nothing but records makes no fence.
# file: daemon/arena/settle.c
/^int arena_settle/,/^}/s/(fence || table_is_staged(arena->table))/fence/
