# A name that was given up is somebody else's before its old record is gone.
# file: daemon/arena/change.c
# by: explore --what reuse
s/arena->nr_names_retiring += old.name && alloc->state == ALLOC_PUBLISHED;//
