/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * witness: one memory file a process, of which each witness maps a page through an open file
 * description of its own, whose lock on a byte of its own lasts as long as anybody has that
 * description: this process by the page, and each one that inherited the page. To look is one
 * F_OFD_GETLK after the page is unmapped here. It knows nothing of arenas.
 *
 * Counting calls of fork() would not do: clone() calls no handlers, and a child that has ended maps
 * nothing. A count of processes that map a page is in no other interface of the kernel: mincore()
 * and pagemap see a page, which a child has only once it touched it.
 */
#include <config.h>

#include "lib/memory/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/process.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

#define PAGE 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The following are read and written under this lock. */
static bool is_watching;                /* watch_forks() has had its handlers set */
static int file_fd = -1;                /* owned, unless the program closed it: see is_ours() */
static uint64_t file_inode;
static uint32_t file_process;           /* whose file it is: a child makes one of its own */
static uint64_t next_byte;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

/*
 * Has the lock taken around each fork; with the lock. Otherwise a child that is forked while
 * another thread is in witness_begin() would wait for ever for a lock that no thread of it has. So
 * without this there is no witness; the next caller tries again.
 */
static bool watch_forks(void)
{
	if (!is_watching)
		is_watching = pthread_atfork(before_fork, after_fork, after_fork) == 0;
	return is_watching;
}

/*
 * Is the descriptor still the file that was opened? Some programs close descriptors they do not
 * know, and the number may belong to another file by now. 1 it is, 0 it is not, or -errno: the
 * kernel does not say, and the descriptor must neither be used nor forgotten.
 */
static int is_ours(void)
{
	struct stat st;

	if (file_fd < 0)
		return 0;
	if (fstat(file_fd, &st) < 0)
		return errno == EBADF ? 0 : -errno;
	return S_ISREG(st.st_mode) && st.st_nlink == 0 && st.st_ino == file_inode;
}

static int make_file(void)
{
	struct stat st;
	int fd = memfd_create("pma-witness", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)          /* Linux before 6.3 does not know MFD_NOEXEC_SEAL */
		fd = memfd_create("pma-witness", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	file_fd = fd;
	file_inode = st.st_ino;
	file_process = process_number();
	return 0;
}

/* Makes the file if this process has none; under lock. */
static int have_file(void)
{
	int r = is_ours();

	if (r < 0 || (r == 1 && process_is(file_process)))
		return r < 0 ? r : 0;
	/*
	 * The file is the parent's, which counts its bytes by itself: this process makes its own.
	 */
	if (r == 1)
		close(file_fd);
	file_fd = -1;
	return make_file();
}

static struct flock byte_lock(uint64_t byte, short type)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1
	};
}

/*
 * Opens the file once more, locks @byte through the new description, and maps a page of it. The
 * descriptor is closed: from here on the page alone keeps the description, and so the lock.
 */
static void *map_page(const char *path, uint64_t byte)
{
	struct flock byte_of_it = byte_lock(byte, F_WRLCK);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *page = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (fcntl(fd, F_OFD_SETLK, &byte_of_it) == 0)
		page = mmap(NULL, PAGE, PROT_NONE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

void witness_begin(struct witness *witness)
{
	char path[32];

	*witness = (struct witness){ .page = NULL };
	if (process_init() < 0)
		return;
	pthread_mutex_lock(&lock);
	if (watch_forks() && have_file() == 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
		witness->inode = file_inode;
		witness->byte = next_byte++;
		witness->page = map_page(path, witness->byte);
	}
	pthread_mutex_unlock(&lock);
}

void witness_drop(struct witness *witness)
{
	if (witness->page)
		munmap(witness->page, PAGE);
	witness->page = NULL;
}

bool witness_end(struct witness *witness)
{
	struct flock found = byte_lock(witness->byte, F_WRLCK);
	bool is_alone = false;

	if (!witness->page)
		return true;
	witness_drop(witness);
	pthread_mutex_lock(&lock);
	if (is_ours() == 1 && file_inode == witness->inode && fcntl(file_fd, F_OFD_GETLK, &found) == 0)
		is_alone = found.l_type == F_UNLCK;
	pthread_mutex_unlock(&lock);
	return !is_alone;
}
