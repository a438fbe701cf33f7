# A page is known to be zero when its scrub begins.
# file: daemon/space/pages.c
/^int pages_submit/,/^}/s/job->is_run = is_run;/job->is_run = is_run;\n\tif (!is_run)\n\t\tzeromap_set(space->p.zero, page_of(space, range.off), range.len >> space->p.order);/
