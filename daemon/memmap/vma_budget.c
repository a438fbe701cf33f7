/* SPDX-License-Identifier: BSD-3-Clause */
/* vma_budget: reads two files of /proc. It maps nothing itself. */
#include <config.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/memmap/vma_budget.h"

#define DEFAULT_LIMIT 65530             /* the kernel's own default, where /proc does not say */

static uint64_t read_limit(void)
{
	char text[32];
	ssize_t n = -1;
	uint64_t limit;
	int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	limit = strtoull(text, NULL, 10);
	return limit ? limit : DEFAULT_LIMIT;
}

static uint64_t count_maps(void)
{
	char buf[16384];
	uint64_t nr = 0;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (const char *at = buf; (at = memchr(at, '\n', (size_t)(buf + n - at))); at++)
			nr++;
	close(fd);
	return nr;
}

void vma_budget_init(struct vma_budget *budget, uint64_t limit)
{
	*budget = (struct vma_budget){ .limit = limit ? limit : read_limit() };
}

void vma_budget_recount(struct vma_budget *budget)
{
	uint64_t nr = count_maps();

	budget->others = nr > budget->own ? nr - budget->own : 0;
	budget->own_then = budget->own;
	budget->counted = true;
}

bool vma_budget_is_stale(const struct vma_budget *budget)
{
	uint64_t grown = budget->own > budget->own_then ? budget->own - budget->own_then : 0;

	return !budget->counted || grown > budget->limit / 16;
}

bool vma_budget_has(const struct vma_budget *budget, uint64_t nr)
{
	return vma_budget_used(budget) + nr <= budget->limit - budget->limit / 8;
}
