# At a start, space that is not known to be zero is scrubbed although another host may have it mapped.
# file: daemon/space/space.c
# by: moves
s/if (!zero \&\& space->is_withholding)/if (false)/
