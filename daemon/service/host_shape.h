/* SPDX-License-Identifier: BSD-3-Clause */
/* host_shape: how hosts look in JSON. */
#ifndef PMEMARENA_HOST_SHAPE_H
#define PMEMARENA_HOST_SHAPE_H

#include "daemon/arena/moves.h"
#include "daemon/shape.h"

/* A list with an entry for each; the name is null where it is not known. */
struct json_object *host_shape_list(const struct moves_hosts *hosts);

#endif
