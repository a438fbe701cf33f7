# The ledger goes on saying that a lease has what was carved off it: after a kill the session has it once more, whoever has it by then.
# file: daemon/arena/settle.c
# by: explore --what kill --seed 2
/^static void narrow_lease/,/^}/s/if (lease->nr_extents > 0 \&\& lease->entry)/if (false)/
/^static void narrow_lease/,/^}/s/ledger_remove(arena->ledger, lease->entry);/;/
/^static void narrow_lease/,/^}/s/lease->entry = 0;/;/
