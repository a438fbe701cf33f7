/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wipe DEVICE: zero the first 4 KiB of every 32 KiB, so that neither a superblock nor a table of an
 * earlier arena is found on it: with one of them it is not blank, and `format = if-blank` refuses
 * it. All else stays as dirty as whoever had the memory before left it: that is what an arena must
 * cope with.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEP ((size_t)32 << 10)

static size_t device_size(const char *path)
{
	char sys[128], text[32] = "";
	const char *name = strrchr(path, '/');
	FILE *file;

	snprintf(sys, sizeof(sys), "/sys/bus/dax/devices/%.64s/size", name ? name + 1 : path);
	file = fopen(sys, "r");
	if (!file || !fgets(text, sizeof(text), file))
		return 0;
	fclose(file);
	return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	size_t size = argc == 2 ? device_size(argv[1]) : 0;
	int fd = size ? open(argv[1], O_RDWR) : -1;
	char *at =
		fd >= 0 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (at == MAP_FAILED) {
		perror("wipe");
		return 1;
	}
	for (size_t off = 0; off < size; off += STEP)
		memset(at + off, 0, 4096);
	msync(at, size, MS_SYNC);
	return 0;
}
