# Some pieces of a record are taken for all of them.
# file: daemon/arena/recover_table.c
/^static bool is_whole/,/^}/s/return false;/return true;/
