# A format does not take the older arena away first.
# file: daemon/arena/format.c
# by: explore --what format
/^static int format_pair/,/^}/s/= erase_superblock(device, why)/= 0/
