# What was mapped on the host before and is freed on this one is scrubbed and handed out.
# file: daemon/arena/abroad.c
# by: moves
s/if (id >= arena->abroad_limit)/if (id)/
