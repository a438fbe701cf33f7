# A bad page is forgotten at the next start.
# file: daemon/arena/bad.c
# by: explore --what poison
/^static int record_bad/,/^}/s/r = table_stage(.*);/r = 0;/
