# No fence between the cleared bit and the client who has the page.
# file: daemon/space/space.c
s/space->wants_fence = true;/space->wants_fence = false;/
