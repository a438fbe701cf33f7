# What is behind the length of an allocation with any contents is not zeroed.
# file: daemon/arena/claim.c
# by: explore --what contents
/^static int zero_rest/,/^}/s/!bytes)/bytes)/
