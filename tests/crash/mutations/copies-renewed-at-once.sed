# Copy 1 is written anew before copy 0 is durable: a cut leaves neither.
# file: daemon/books/table_renew.c
# by: renew
/^static int renew_copy/,/^}/s/media_fence(to->media)/0/
