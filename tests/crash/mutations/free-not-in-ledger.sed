# What is freed while somebody has it mapped is not written down for the next daemon.
# file: daemon/arena/release.c
s/if (is_held_by_others(caller, alloc, unmapped)/if ((false \&\& is_held_by_others(caller, alloc, unmapped))/
