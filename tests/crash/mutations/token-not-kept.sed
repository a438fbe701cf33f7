# A later version of a record does not have the token that the allocation was created under.
# file: daemon/arena/settle.c
/^void record_of/,/^}/s/ \.token = alloc->token,//
