# Pieces of a record that was never whole stay on the device.
# file: daemon/arena/recover_table.c
/^static int add_group/,/^}/s/rec->nr_damaged == 0/false/
