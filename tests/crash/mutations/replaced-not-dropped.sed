# A start finds an allocation and what replaced it, and takes both.
# file: daemon/arena/recover.c
# by: explore --what replace
s/if (r == 0 \&\& rec->has_successors)/if (false)/
