# A repair says that it is done, and gives nothing up.
# file: daemon/arena/check.c
# by: damage
/^static int give_up/,/^}/s/table_give_up(arena->table, number)/0/
