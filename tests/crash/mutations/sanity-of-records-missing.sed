# Records are computed with as they are.
# file: daemon/arena/flaw.c
# by: damage
/^const char \*flaw_of_record(/,/^}/s/return flaw_of_space(arena, record);/return NULL;/
/^const char \*flaw_of_record(/,/^}/s/return "its id was never given out";/return NULL;/
