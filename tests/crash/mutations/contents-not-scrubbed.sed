# What was kept for its last user and is wanted by others is not scrubbed.
# file: daemon/space/pages.c
# by: explore --what contents
/^static void make_dirty/,/^}/s/extent_release(space->dirty, pages, NULL);/extent_release(space->clean, pages, NULL);/
