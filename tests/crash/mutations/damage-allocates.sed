# A damaged arena makes new allocations.
# file: daemon/arena/reserve.c
# by: damage
/^int check_serving/,/^}/s/arena->state == ARENA_DAMAGED \&\& new_space/false/
