# A page that was handed out stays zero on media.
# file: daemon/books/zeromap.c
s/return r < 0 || !changed ? r : flush_words(map, first, last);/return r < 0 || !changed || !zero ? r : flush_words(map, first, last);/
