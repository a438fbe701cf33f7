/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poison DEVICE OFFSET ALIGN: tell the kernel that the memory at this offset has failed, as a
 * machine check would. Needs root. The kernel kills whoever has it mapped, this process first of
 * all.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	size_t align = argc == 4 ? strtoull(argv[3], NULL, 0) : 0;
	off_t off = argc == 4 ? strtoll(argv[2], NULL, 0) : 0;
	volatile char *at;
	int fd;

	if (!align)
		return 2;
	fd = open(argv[1], O_RDWR);
	at = mmap(NULL, align, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		  off / (off_t)align * (off_t)align);
	if (fd < 0 || at == MAP_FAILED) {
		perror("poison");
		return 1;
	}
	at += off % (off_t)align;
	at[0] = at[0];
	if (madvise((void *)at, 4096, MADV_HWPOISON) < 0) {
		perror("poison: madvise");
		return 1;
	}
	return 0;
}
