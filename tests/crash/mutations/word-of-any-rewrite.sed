# A torn rewrite leaves a word of before, and it counts.
# file: daemon/media/superblock_page.c
# by: renew --flavour dax-apart-2m
/^static uint32_t read_word/,/^}/s/return .*/(void)seq; return since;/
