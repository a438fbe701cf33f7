/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host: reads who this host is: the machine id, the id of the boot, and the name. It judges
 * nothing; arena/abroad.c compares.
 */
#include <config.h>

#include "daemon/host.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIGITS 32

/*
 * Reads an id of 32 hexadecimal digits; the dashes of a UUID are passed over. In a container one of
 * the files may be missing, and the id stays zero.
 */
static void read_id(uint8_t id[16], const char *path)
{
	char digits[DIGITS + 1] = "";
	FILE *f = fopen(path, "re");
	int nr = 0, c;

	memset(id, 0, 16);
	if (!f)
		return;
	while (nr < DIGITS && (c = fgetc(f)) != EOF) {
		if (isxdigit(c))
			digits[nr++] = (char)c;
		else if (c != '-')
			break;
	}
	fclose(f);
	for (int i = 0; nr == DIGITS && i < 16; i++)
		sscanf(digits + i * 2, "%2hhx", &id[i]);
}

void host_read(struct host *host)
{
	char name[256] = "";

	memset(host, 0, sizeof(*host));
	read_id(host->id, "/etc/machine-id");
	read_id(host->boot, "/proc/sys/kernel/random/boot_id");
	if (gethostname(name, sizeof(name) - 1) == 0)
		snprintf(host->name, sizeof(host->name), "%.*s", HOST_NAME - 1, name);
}
