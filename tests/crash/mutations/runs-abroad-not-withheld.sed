# At a start, free runs of split pages are scrubbed although another host may have them mapped.
# file: daemon/space/run.c
# by: moves
s/if (gap.len \&\& space->is_withholding)/if (false)/
