# A first superblock that is cut looks like a damaged one.
# file: daemon/media/superblock.c
/^static int write_copy/,/^}/s/media_store(media, off + sizeof(magic), page + sizeof(magic), sizeof(page) - sizeof(magic))/media_store(media, off, page, sizeof(page))/
