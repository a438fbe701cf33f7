# A scrub is no change: a data device of before it is believed, and its pages are not zero.
# file: daemon/arena/tick.c
# by: belong
/^static bool collect/,/^}/s/bool was_online = .*, cleaner/bool was_online = false, cleaner/
