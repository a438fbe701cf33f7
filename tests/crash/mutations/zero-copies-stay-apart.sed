# A zero map that a cut tore apart is left so.
# file: daemon/arena/recover.c
/^static int mend_zero_map/,/^}/s/!arena->read_only);/false);/
