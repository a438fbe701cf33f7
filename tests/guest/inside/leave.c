/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leave: end QEMU with exit status 3, through its isa-debug-exit device. A power-off and a panic
 * both end it with 0, so the host can tell a guest that came to its end from one that did not.
 */
#include <stdio.h>
#include <sys/io.h>
#include <unistd.h>

int main(void)
{
	sync();
	if (ioperm(0xf4, 1, 1) < 0) {
		perror("leave: ioperm");
		return 1;
	}
	outb(1, 0xf4);
	return 0;
}
