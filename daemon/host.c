/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host: reads who this host is: the machine id, the id of the boot, and the name. It judges
 * nothing; arena/abroad.c compares.
 */
#include <config.h>

#include "daemon/host.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

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

/* ---- the identity ---- */

/* What the identity is bound to. Either may be zero: it cannot be read, or the host has none. */
struct binding {
	uint8_t machine[16], product[16];
};

static void print_id(FILE *f, const uint8_t id[16])
{
	for (int i = 0; i < 16; i++)
		fprintf(f, "%02x", id[i]);
	fputc('\n', f);
}

static bool parse_line(uint8_t id[16], FILE *f)
{
	char line[64] = "";

	if (!fgets(line, sizeof(line), f) || strspn(line, "0123456789abcdef") != DIGITS)
		return false;
	for (int i = 0; i < 16; i++)
		sscanf(line + i * 2, "%2hhx", &id[i]);
	return true;
}

/* Three lines: the identity, the machine id, the product UUID. */
static bool read_identity(uint8_t id[16], const char *path, const struct binding *binding)
{
	struct binding found;
	FILE *f = fopen(path, "re");
	bool is_ours;

	if (!f)
		return false;
	is_ours = parse_line(id, f) && parse_line(found.machine, f) &&
		  parse_line(found.product, f) && memcmp(&found, binding, sizeof(found)) == 0;
	fclose(f);
	return is_ours;
}

/* Written beside and renamed: a cut leaves the old file or the new one. */
static int write_identity(const uint8_t id[16], const char *path, const struct binding *binding)
{
	char beside[4200];
	FILE *f;
	int r;

	snprintf(beside, sizeof(beside), "%s.new", path);
	f = fopen(beside, "we");
	if (!f)
		return -errno;
	print_id(f, id);
	print_id(f, binding->machine);
	print_id(f, binding->product);
	r = fflush(f) == 0 && fsync(fileno(f)) == 0 ? 0 : -errno;
	fclose(f);
	if (r == 0 && rename(beside, path) < 0)
		r = -errno;
	return r;
}

int host_identify(struct host *host, const char *dir, struct why *why)
{
	struct binding binding;
	char path[4150];
	int r;

	snprintf(path, sizeof(path), "%.4096s/host", dir);
	memcpy(binding.machine, host->id, 16);
	read_id(binding.product, "/sys/class/dmi/id/product_uuid");
	if (read_identity(host->identity, path, &binding))
		return 0;
	uuid_generate(host->identity);
	r = write_identity(host->identity, path, &binding);
	if (r < 0)
		return why_set(why, r,
			       "the identity of this host cannot be written to %s: %s; `hosts` "
			       "needs a state-directory that the daemon may write to",
			       path, strerror(-r));
	return 0;
}
