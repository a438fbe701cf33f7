# A damaged arena makes new allocations.
# file: daemon/arena/rules.c
# by: damage
/^int rules_serving/,/^}/s/arena->state == ARENA_DAMAGED \&\& new_space/false/
