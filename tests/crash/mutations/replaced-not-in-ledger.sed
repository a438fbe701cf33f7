# Who has the old one open is not noted before the table forgets it: a killed daemon gives it away.
# file: daemon/arena/replace.c
# by: explore --what replace
/^static int note/,/^}/s/if (TAILQ_EMPTY.*/if (true)/
