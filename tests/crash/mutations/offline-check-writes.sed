# A check of a device mends what it finds.
# file: daemon/arena/check.c
# by: damage
/^int64_t arena_check_device/,/^}/s/mine.read_only = !repair;/mine.read_only = false;/
