# A start finds a bundle that was cut, and does not finish it.
# file: daemon/arena/recover_table.c
# by: explore --what bundle
/^int recover_table/,/^}/s/!rec->bundle.extents)/true)/
