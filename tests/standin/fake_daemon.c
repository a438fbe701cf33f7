/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_daemon: knows the messages and no arena: ids count up, extents follow from ids.
 */
#include <config.h>

#include "tests/standin/fake_daemon.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/wire/conn.h"

#define PATIENCE_MS 10000

static void wait_for(int fd, short events)
{
	struct pollfd poller = { .fd = fd, .events = events };

	ck_assert_msg(poll(&poller, 1, PATIENCE_MS) == 1, "the fake daemon waited in vain");
}

/* ---- coming and going ---- */

static void *follow_script(void *arg)
{
	struct fake_daemon *fake = arg;

	fake->script(fake);
	return NULL;
}

static int new_memfd(const char *name, uint64_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void describe_arena(struct fake_daemon *fake, uint32_t index)
{
	struct wire_arena *arena = &fake->arenas[index];

	*arena = (struct wire_arena){
		.index = index,
		.page_size = FAKE_PAGE,
		.size = FAKE_SIZE,
		.data_off = 0,
		.device_size = FAKE_SIZE,
		.align = 4096,
		.granularity = 1,
		.nr_slots = FAKE_SLOTS,
	};
	memset(arena->uuid, (int)index + 1, sizeof(arena->uuid));
	snprintf(arena->name, sizeof(arena->name), "arena%u", index);
	snprintf(arena->device, sizeof(arena->device), "/dev/dax%u.0", index);
}

void fake_listen(struct fake_daemon *fake)
{
	fake->listener = conn_listen(fake->path, SOCK_SEQPACKET, 0600);
	ck_assert_int_ge(fake->listener, 0);
}

struct fake_daemon *fake_new(fake_script *script, void *arg)
{
	struct fake_daemon *fake = calloc(1, sizeof(*fake));

	fake->script = script;
	fake->arg = arg;
	fake->sock = fake->got_fd = -1;
	fake->nr_arenas = 2;
	fake->session = FAKE_SESSION;
	fake->buf = aligned_alloc(8, WIRE_MAX);
	fake->device = new_memfd("device", FAKE_SIZE);
	fake->plane = new_memfd("plane", FAKE_SLOTS * 8);
	fake->ids = mmap(NULL, FAKE_SLOTS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fake->plane, 0);
	for (uint32_t i = 0; i < 4; i++)
		describe_arena(fake, i);
	strcpy(fake->dir, "/tmp/fake_daemon.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fake->dir));
	snprintf(fake->path, sizeof(fake->path), "%s/sock", fake->dir);
	fake_listen(fake);
	ck_assert_int_eq(pthread_create(&fake->thread, NULL, follow_script, fake), 0);
	return fake;
}

static void forget_fd(struct fake_daemon *fake)
{
	if (fake->got_fd >= 0)
		close(fake->got_fd);
	fake->got_fd = -1;
}

void fake_free(struct fake_daemon *fake)
{
	ck_assert_int_eq(pthread_join(fake->thread, NULL), 0);
	fake_stop(fake);
	forget_fd(fake);
	unlink(fake->path);
	rmdir(fake->dir);
	munmap(fake->ids, FAKE_SLOTS * 8);
	close(fake->device);
	close(fake->plane);
	free(fake->buf);
	free(fake);
}

void fake_accept(struct fake_daemon *fake)
{
	wait_for(fake->listener, POLLIN);
	fake->sock = accept(fake->listener, NULL, NULL);
	ck_assert_int_ge(fake->sock, 0);
}

void fake_hang_up(struct fake_daemon *fake)
{
	if (fake->sock >= 0)
		close(fake->sock);
	fake->sock = -1;
}

void fake_stop(struct fake_daemon *fake)
{
	fake_hang_up(fake);
	if (fake->listener >= 0)
		close(fake->listener);
	fake->listener = -1;
}

/* ---- messages ---- */

static void take_apart(struct fake_ask *ask, struct wire_reader *reader)
{
	const char *name;

	if (ask->opcode == WIRE_HELLO) {
		ck_assert_int_eq(wire_next_raw(reader, &ask->hello, sizeof(ask->hello)), 1);
		return;
	}
	for (uint32_t i = 0; i < ask->count; i++) {
		ck_assert_int_eq(wire_next_request(reader, &ask->items[i], &name), 1);
		memcpy(ask->names[i], name, ask->items[i].name_len);
		ask->names[i][ask->items[i].name_len] = '\0';
	}
}

bool fake_receive(struct fake_daemon *fake, struct fake_ask *ask)
{
	static _Thread_local uint8_t buf[WIRE_MAX] __attribute__((aligned(8)));
	struct wire_reader reader;
	int nr_fds = 0;
	ssize_t n;

	wait_for(fake->sock, POLLIN);
	forget_fd(fake);
	n = conn_recv(fake->sock, buf, sizeof(buf), &fake->got_fd, 1, &nr_fds);
	ck_assert_int_ge(n, 0);
	if (nr_fds == 0)
		fake->got_fd = -1;
	if (n == 0)
		return false;
	ck_assert_int_eq(wire_open(&reader, buf, (size_t)n), 0);
	ask->opcode = reader.header.opcode;
	ask->tag = reader.header.tag;
	ask->repeats = reader.header.repeats;
	ask->count = reader.header.count;
	take_apart(ask, &reader);
	return true;
}

void fake_await(struct fake_daemon *fake)
{
	wait_for(fake->sock, POLLIN);
}

void fake_expect(struct fake_daemon *fake, struct fake_ask *ask, uint16_t opcode)
{
	ck_assert_msg(fake_receive(fake, ask), "the client hung up instead of sending %s",
		      wire_opcode_name(opcode));
	ck_assert_str_eq(wire_opcode_name(ask->opcode), wire_opcode_name(opcode));
}

void fake_send_fds(struct fake_daemon *fake, size_t length, const int *fds, int nr_fds)
{
	int r;

	while ((r = conn_send(fake->sock, fake->buf, length, fds, nr_fds)) == -EAGAIN)
		wait_for(fake->sock, POLLOUT);
	ck_assert_msg(r == 0 || r == -EPIPE || r == -ECONNRESET, "sending failed: %s",
		      strerror(-r));
}

void fake_send(struct fake_daemon *fake, size_t length)
{
	fake_send_fds(fake, length, NULL, 0);
}

static size_t write_welcome(struct fake_daemon *fake, bool resumed)
{
	struct wire_welcome welcome = {
		.version = WIRE_VERSION,
		.nr_arenas = (uint16_t)fake->nr_arenas,
		.session = fake->session,
		.secret = "secret",
		.resumed = resumed,
		.last_tag = resumed ? fake->last_tag : 0,
		.read_tag = resumed ? fake->read_tag : 0,
		.max_items = WIRE_MAX_ITEMS,
		.features = fake->features,
	};
	struct wire_writer writer;

	wire_begin(&writer, fake->buf, WIRE_WELCOME, 0);
	wire_add_raw(&writer, &welcome, sizeof(welcome));
	for (uint32_t i = 0; i < fake->nr_arenas; i++)
		wire_add_raw(&writer, &fake->arenas[i], sizeof(fake->arenas[i]));
	return wire_end(&writer);
}

void fake_send_welcome(struct fake_daemon *fake, bool resumed)
{
	fake_send(fake, write_welcome(fake, resumed));
}

void fake_welcome(struct fake_daemon *fake, struct wire_hello *hello, bool resumed)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	fake_accept(fake);
	fake_expect(fake, ask, WIRE_HELLO);
	if (hello)
		*hello = ask->hello;
	free(ask);
	fake_send_welcome(fake, resumed);
}

/* ---- answers ---- */

static void answer_attach(struct fake_daemon *fake, const struct fake_ask *ask)
{
	struct wire_arena arena = fake->arenas[ask->items[0].arena % 4];
	struct wire_writer writer;
	char path[64];
	int fds[2];

	/* As the daemon does: a description of its own, of the mode that was asked for. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fake->device);
	fds[0] = open(path, ask->items[0].flags & WIRE_READ_ONLY ? O_RDONLY : O_RDWR);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fake->plane);
	fds[1] = open(path, O_RDONLY);
	wire_begin(&writer, fake->buf, WIRE_ATTACHED, ask->tag);
	wire_add_raw(&writer, &arena, sizeof(arena));
	fake_send_fds(fake, wire_end(&writer), fds, 2);
	close(fds[0]);
	close(fds[1]);
}

/* What fits, from the one that was asked for on. */
static void answer_extents(struct fake_daemon *fake, struct wire_writer *writer,
			   const struct wire_request *item)
{
	struct wire_extent page = { item->id * FAKE_PAGE % FAKE_SIZE, FAKE_PAGE },
			   *all = fake->nr_extents ? fake->extents : &page;
	struct wire_result result = {
		.arena = item->arena, .slot = item->slot, .id = item->id, .version = 1
	};
	uint32_t left;

	result.nr_extents = fake->nr_extents ? fake->nr_extents : 1;
	left = item->arg < result.nr_extents ? result.nr_extents - (uint32_t)item->arg : 0;
	if (fake->nr_a_reply && left > fake->nr_a_reply)
		left = fake->nr_a_reply;
	result.nr_inline = (uint16_t)left;
	ck_assert_int_eq(wire_add_result(writer, &result, all + (left ? item->arg : 0), NULL, 0),
			 0);
}

static void answer_item(struct fake_daemon *fake, struct wire_writer *writer,
			const struct fake_ask *ask, uint32_t i)
{
	struct wire_request item = ask->items[i];
	struct wire_result result = {
		.arena = item.arena, .len = FAKE_PAGE, .mode = 0600, .nr_extents = 1, .version = 1
	};
	bool is_new = ask->opcode == WIRE_RESERVE || ask->opcode == WIRE_CARVE ||
		      ((ask->opcode == WIRE_OPEN || ask->opcode == WIRE_STAT) && item.name_len > 0);

	result.id = is_new ? ++fake->next_id : item.id;
	result.slot = is_new ? (uint32_t)result.id : item.slot;
	if (ask->opcode == WIRE_RESERVE && !(item.flags & WIRE_AND_PUBLISH))
		result.flags = WIRE_IS_RESERVED;
	if (ask->opcode == WIRE_RESERVE)
		result.flags |= fake->result_flags;
	if (result.slot < FAKE_SLOTS && is_new)
		__atomic_store_n(&fake->ids[result.slot], result.id, __ATOMIC_RELEASE);
	if (result.slot < FAKE_SLOTS && (ask->opcode == WIRE_FREE || ask->opcode == WIRE_ABORT))
		__atomic_store_n(&fake->ids[result.slot], 0, __ATOMIC_RELEASE);
	ck_assert_int_eq(wire_add_result(writer, &result, NULL, ask->names[i],
					 ask->opcode == WIRE_STAT ? item.name_len : 0),
			 0);
}

void fake_answer(struct fake_daemon *fake, const struct fake_ask *ask)
{
	struct wire_writer writer;

	if (ask->opcode == WIRE_ATTACH) {
		answer_attach(fake, ask);
		return;
	}
	wire_begin(&writer, fake->buf, ask->opcode | WIRE_REPLY, ask->tag);
	for (uint32_t i = 0; i < ask->count; i++) {
		fake->last_flags = ask->items[i].flags;
		if (ask->opcode == WIRE_EXTENTS)
			answer_extents(fake, &writer, &ask->items[i]);
		else
			answer_item(fake, &writer, ask, i);
	}
	fake_send(fake, wire_end(&writer));
}

void fake_refuse(struct fake_daemon *fake, const struct fake_ask *ask, int result, const char *text)
{
	struct wire_result refusal = { .result = result };
	struct wire_writer writer;

	wire_begin(&writer, fake->buf, ask->opcode | WIRE_REPLY, ask->tag);
	for (uint32_t i = 0; i < ask->count; i++)
		wire_add_result(&writer, &refusal, NULL, text, strlen(text));
	fake_send(fake, wire_end(&writer));
}

void fake_serve(struct fake_daemon *fake)
{
	struct fake_ask *ask = malloc(sizeof(*ask));

	while (fake_receive(fake, ask))
		fake_answer(fake, ask);
	free(ask);
}
