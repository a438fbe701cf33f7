# A run that is scrubbed on the spot is given out again before its zeroes are durable.
# file: daemon/space/pages.c
# by: explore --what reuse --flavour dax-2m --again 0 --bound 16 --sample 16
/^int space_fence_data/,/^}/s/wants ? media_fence(space->p.data) : 0/0/
