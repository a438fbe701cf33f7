/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * short: a client that lacks what it needs itself, and must be told so: SOCKET NAME. With no
 * descriptor free a map of NAME is -EMFILE, with all it maps locked it is -EAGAIN and names the
 * limit; and with room again the same connection goes on. Exit status 0: all of it was so.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pmemarena.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static int fail(const char *what, int r)
{
	printf("%s: %d (%s): %s\n", what, r, strerror(-r), pma_message());
	return 1;
}

static int open_at(struct pma **pma, const char *path)
{
	struct pma_options *options;
	int r = pma_options_new(&options);

	if (r == 0)
		r = pma_options_set_socket(options, path);
	if (r == 0)
		r = pma_connect(pma, options);
	pma_options_free(options);
	return r;
}

static int without_descriptors(struct pma *pma, struct pma_handle handle)
{
	struct rlimit limit, none;
	struct pma_mapping *map;
	int fd, r;

	getrlimit(RLIMIT_NOFILE, &limit);
	fd = open("/dev/null", O_RDONLY);
	none = (struct rlimit){ (rlim_t)fd, limit.rlim_max };
	close(fd);
	setrlimit(RLIMIT_NOFILE, &none);
	r = pma_map(&map, pma, handle, PMA_MAP_WRITE);
	setrlimit(RLIMIT_NOFILE, &limit);
	return r == -EMFILE && strstr(pma_message(), "RLIMIT_NOFILE")
		       ? 0
		       : fail("a map without a free descriptor", r);
}

static int without_locked_memory(struct pma *pma, struct pma_handle handle)
{
	struct rlimit limit, none = { 65536, 65536 };
	struct pma_mapping *map;
	int r;

#ifdef __SANITIZE_ADDRESS__
	/* AddressSanitizer makes mlockall() do nothing: there is no limit to meet. */
	(void)pma, (void)handle;
	return 0;
#endif
	/* Who has CAP_IPC_LOCK has no such limit. */
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || (geteuid() == 0 && setuid(65534) < 0))
		return fail("setuid", -errno);
	setrlimit(RLIMIT_MEMLOCK, &none);
	if (mlockall(MCL_FUTURE) < 0)
		return fail("mlockall", -errno);
	r = pma_map(&map, pma, handle, PMA_MAP_WRITE);
	return r == -EAGAIN && strstr(pma_message(), "RLIMIT_MEMLOCK")
		       ? 0
		       : fail("a map beyond what may be locked", r);
}

int main(int argc, char **argv)
{
	struct pma_handle handle = PMA_HANDLE_NONE;
	struct pma_mapping *map;
	struct pma *pma;
	int r;

	if (argc != 3)
		return 2;
	r = open_at(&pma, argv[1]);
	if (r == 0)
		r = pma_open(&handle, pma, argv[2], 0);
	if (r < 0)
		return fail("open", r);
	if (without_descriptors(pma, handle) != 0)
		return 1;
	r = pma_map(&map, pma, handle, PMA_MAP_WRITE);
	if (r < 0)
		return fail("a map with a descriptor free again", r);
	r = without_locked_memory(pma, handle);
	pma_unmap(map);
	pma_disconnect(pma);
	return r;
}
