# A start forgets that an allocation is evictable.
# file: daemon/arena/recover_table.c
# by: explore --what evict
s/alloc->is_evictable = record->is_evictable;/;/
