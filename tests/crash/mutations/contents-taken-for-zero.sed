# What is kept for its last user counts as zero, after a cut too.
# file: daemon/space/pages.c
# by: explore --what contents
s/if (remains_keep(space->remains, uid, pages))/if (remains_keep(space->remains, uid, pages) \&\& zeromap_set(space->p.zero, pages.off, pages.len) == 0)/
