# Records are computed with as they are.
# file: daemon/arena/recover.c
# by: damage
/^static const char \*flaw_of(/,/^}/s/return flaw_of_space(arena, record);/return NULL;/
/^static const char \*flaw_of(/,/^}/s/return "its id was never given out";/return NULL;/
