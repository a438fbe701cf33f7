# What is freed while somebody has it mapped is not written down for the next daemon.
# file: daemon/arena/retire.c
s/if (is_held ||/if ((false \&\& is_held) ||/
