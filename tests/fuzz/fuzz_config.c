/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_config: any bytes as a configuration file. What loads must print as something that loads as
 * the same; what does not must say why.
 */
#include <config.h>

#include "daemon/config/config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file without a name on disk; the caller closes *fd. */
static void file_of(int *fd, char path[64], const void *bytes, size_t size)
{
	*fd = memfd_create("fuzz_config", MFD_CLOEXEC);
	if (*fd < 0 || write(*fd, bytes, size) != (ssize_t)size)
		abort();
	snprintf(path, 64, "/proc/self/fd/%d", *fd);
}

static int load(struct config *config, const void *bytes, size_t size)
{
	struct config_sources sources = { NULL, NULL, 0 };
	struct why why = { "" };
	char path[64];
	int fd, r;

	file_of(&fd, path, bytes, size);
	sources.file = path;
	r = config_load(config, &sources, &why);
	if (r < 0 && why.text[0] == '\0')
		abort();
	close(fd);
	return r;
}

static char *print(const struct config *config, size_t *size)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, size);

	if (!f)
		abort();
	config_print(config, f);
	fclose(f);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config, again;
	size_t len, len_again;
	char *text, *text_again;

	if (load(&config, data, size) < 0)
		return 0;
	text = print(&config, &len);
	if (load(&again, text, len) < 0)
		abort();
	text_again = print(&again, &len_again);
	if (len != len_again || memcmp(text, text_again, len) != 0)
		abort();
	free(text);
	free(text_again);
	config_fini(&config);
	config_fini(&again);
	return 0;
}
