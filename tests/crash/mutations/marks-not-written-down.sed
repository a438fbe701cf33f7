# An orderly stop does not look for marks: the next host gives out what a client here still has mapped.
# file: daemon/arena/arena.c
# by: moves
s/ && abroad_leave(arena) == 0//
