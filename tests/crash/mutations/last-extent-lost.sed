# A record of many extents loses its last.
# file: daemon/books/table.c
s/at < end; at += 8/at < end - 16 * (record->nr_extents > 1); at += 8/
