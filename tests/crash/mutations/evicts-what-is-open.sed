# What a session has open is evicted.
# file: daemon/arena/evict.c
# by: explore --what evict
s/!TAILQ_EMPTY(&alloc->holds) || pins_has/pins_has/
