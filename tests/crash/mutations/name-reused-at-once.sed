# A name is taken again in the settle that frees it.
# file: daemon/arena/settle.c
# by: explore --what reuse
/^int settle_if_staged/,/^}/s/(claims_name \&\& arena->nr_names_retiring)/false/
