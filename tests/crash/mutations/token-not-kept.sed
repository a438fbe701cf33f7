# A later version of a record does not have the token that the allocation was created under.
# file: daemon/arena/alloc.c
/^void alloc_record/,/^}/s/\.token = alloc->token,//
