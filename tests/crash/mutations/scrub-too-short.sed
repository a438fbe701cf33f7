# The scrubber leaves the last line of a piece.
# file: daemon/space/scrub.c
s/media_zero(job->media, job->off + done, len)/media_zero(job->media, job->off + done, len - 64)/
