# A first superblock that is cut looks like a damaged one.
# file: daemon/media/superblock.c
/^static int write_copy/,/^}/{
/media_store(media, off + sizeof(magic)/{
N
s/media_store(.*);/media_store(media, off, page, sizeof(page));/
}
}
