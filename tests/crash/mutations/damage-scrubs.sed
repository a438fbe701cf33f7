# A damaged arena scrubs what it does not know to be free.
# file: daemon/arena/recover.c
# by: damage
/^static int run_steps/,/^}/s/space_hold(arena->space, rec->nr_damaged > 0);/space_hold(arena->space, false);/
