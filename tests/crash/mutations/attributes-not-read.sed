# A start does not take over the attributes of a record.
# file: daemon/arena/recover_table.c
# by: explore --what attributes
s/record->attributes, record->attributes_len) < 0/NULL, 0) < 0/
