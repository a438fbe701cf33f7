# No superblock says that records are being written anew: after a cut the old arena opens, with half of its records.
# file: daemon/arena/reidentify.c
# by: renew
/^static int announce/,/^}/s/if (has_uuid(sb, next)/if (true || has_uuid(sb, next)/
