# Half of what was a run is scrubbed.
# file: daemon/space/dirt.c
# by: explore --what reuse --flavour dax-2m --again 0 --bound 16 --sample 16
s/byte_of(range.len)) == 0) {/byte_of(range.len) \/ 2) == 0) {/
