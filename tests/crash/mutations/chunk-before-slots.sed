# The superblock has the chunk before its slots are free on the device.
# file: daemon/books/table.c
/^static int init_chunk/,/^}/s/media_fence(table->media)/0/
