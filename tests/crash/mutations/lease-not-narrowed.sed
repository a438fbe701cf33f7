# The ledger goes on saying that a lease has what was carved off it: after a kill the session has it once more, whoever has it by then.
# file: daemon/arena/lease.c
# by: explore --what kill --seed 2
/^void lease_narrow/,/^}/s/if (lease->nr_extents > 0 \&\& lease->entry)/if (false)/
/^void lease_narrow/,/^}/s/ledger_remove(arena->ledger, lease->entry);/;/
/^void lease_narrow/,/^}/s/lease->entry = 0;/;/
