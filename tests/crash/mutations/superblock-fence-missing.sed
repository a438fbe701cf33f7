# Both copies of the superblock are under way at once.
# file: daemon/media/superblock.c
/^static int write_copy/,/^}/s/media_persist(media/media_flush(media/
