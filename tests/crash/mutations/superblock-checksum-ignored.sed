# A superblock with its magic is believed.
# file: daemon/media/superblock_page.c
# by: damage
/^enum superblock_verdict superblock_decode/,/^}/s/le32toh(p.crc) != page_crc(&p)/false/
