# Only the first superblock is rewritten.
# file: daemon/media/superblock.c
/^int superblock_write/,/^}/s/second = write_copy(.*);/second = 0;/
