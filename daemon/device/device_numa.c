/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device_numa: which node's memory is near a dax device. Its target node is the one that its memory
 * forms when it becomes system RAM. In devdax mode that node is usually offline, and no memory can
 * be taken from it. The nearest node with memory is then what the kernel calls the numa_node of the
 * device.
 */
#include <config.h>

#include <stdio.h>
#include <unistd.h>

#include "daemon/device/device_internal.h"

static bool is_online(const char *sysfs, int node)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/devices/system/node/node%d", sysfs, node);
	return node >= 0 && access(path, F_OK) == 0;
}

int device_numa_node(const char *sysfs, const char *chardev, int target_node)
{
	char path[256];
	int node = -1;
	FILE *f;

	if (is_online(sysfs, target_node))
		return target_node;
	snprintf(path, sizeof(path), "%s/bus/dax/devices/%s/numa_node", sysfs, chardev);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &node) != 1 || !is_online(sysfs, node))
		node = -1;
	fclose(f);
	return node;
}
