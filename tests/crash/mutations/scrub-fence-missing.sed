# A worker says that it is done before its zeroes are durable.
# file: daemon/space/scrub.c
/^static int zero/,/^}/s/return media_persist(.*);/return 0;/
