/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ledger to test, in a directory of its own.
 */
#include <config.h>

#include "tests/unit/ledger_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char file_name[] = "12345678-9abc-def0-0102-030405060708.ledger";

char dir[64], copy_dir[64];
char path[128], copy_path[128];
struct ledger *ledger;
struct why why;

static void make_dir(char *where, char *file)
{
	/* Where the runtime directory is a tmpfs too, if there is one. */
	strcpy(where, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_ledger.XXXXXX"
						    : "/tmp/test_ledger.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(where));
	snprintf(file, 128, "%s/%s", where, file_name);
}

struct ledger *open_in(const char *where)
{
	struct ledger *opened;

	why.text[0] = '\0';
	if (ledger_open(&opened, where, ledger_uuid, &why) < 0)
		ck_abort_msg("%s: %s", where, why.text);
	return opened;
}

void reopen(void)
{
	ledger_close(ledger);
	ledger = open_in(dir);
}

void setup(void)
{
	make_dir(dir, path);
	make_dir(copy_dir, copy_path);
	ledger = open_in(dir);
}

void teardown(void)
{
	ledger_close(ledger);
	unlink(path);
	unlink(copy_path);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(rmdir(copy_dir), 0);
}

void patch(uint64_t off, const void *src, size_t len)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(pwrite(fd, src, len, (off_t)off), (ssize_t)len);
	close(fd);
}

off_t size_of(const char *file)
{
	struct stat st;

	ck_assert_int_eq(stat(file, &st), 0);
	return st.st_size;
}

/* ---- items ---- */

uint32_t add_holder(struct ledger *l, uint64_t session, uint32_t uid)
{
	uint32_t entry = 0;

	ck_assert_int_eq(ledger_add_holder(&entry, l, &(struct ledger_holder){ .session = session, .uid = uid }), 0);
	ck_assert_uint_gt(entry, 0);
	return entry;
}

uint32_t add_hold(struct ledger *l, uint64_t session, uint64_t id, bool read_only)
{
	const struct ledger_hold hold = {
		.session = session, .id = id, .slot = (uint32_t)id + 7, .read_only = read_only
	};
	uint32_t entry = 0;

	ck_assert_int_eq(ledger_add_hold(&entry, l, &hold), 0);
	return entry;
}

uint32_t add_deed(struct ledger *l, uint64_t session, uint64_t key, uint64_t id)
{
	const struct ledger_deed deed = { .session = session,
					  .key = key,
					  .id = id,
					  .slot = (uint32_t)id + 7,
					  .version = 4,
					  .proof = PROOF_VERSION };
	uint32_t entry = 0;

	ck_assert_int_eq(ledger_add_deed(&entry, l, &deed), 0);
	return entry;
}

struct extent extents[LEDGER_MAX_EXTENTS];
char name[LEDGER_MAX_NAME];

struct ledger_range make_range(uint64_t id)
{
	struct ledger_range range = {
		.id = id,
		.session = id * 3,
		.created_ns = id << 40,
		.slot = (uint32_t)id + 7,
		.uid = 1000,
		.gid = 50,
		.mode = 0640,
		.state = LEDGER_RESERVED,
		.is_run = id & 1,
		.is_lease = id & 2,
		.flags = (uint8_t)(id * 5),
	};

	for (uint64_t i = 0; i < LEDGER_MAX_EXTENTS; i++)
		extents[i] = (struct extent){ id * 100000 + i * 16, 1 + (id + i) % 8 };
	for (uint64_t i = 0; i < LEDGER_MAX_NAME; i++)
		name[i] = (char)('a' + (id + i) % 26);
	return range;
}

uint32_t add_range(struct ledger *l, uint64_t id, uint32_t nr_extents, uint8_t name_len)
{
	struct ledger_range range = make_range(id);
	uint32_t entry = 0;

	ck_assert_int_eq(ledger_add_range(&entry, l, &range, extents, nr_extents, name, name_len),
			 0);
	return entry;
}

/* ---- what it says of an entry ---- */

bool is_lent(uint32_t entry)
{
	struct ledger_item item;

	for (uint32_t cursor = 0; ledger_next(&item, ledger, &cursor);)
		if (item.entry == entry)
			return item.hold.lent;
	ck_abort_msg("no entry %u", entry);
}

bool find_item(struct ledger_item *item, uint32_t entry)
{
	for (uint32_t cursor = 0; ledger_next(item, ledger, &cursor);)
		if (item->entry == entry)
			return true;
	return false;
}

/* ---- the state as text, to compare ---- */

static size_t item_text(char *out, size_t max, const struct ledger_item *item)
{
	const struct ledger_range *r = &item->range;
	uint64_t sum = 0;

	if (item->kind == LEDGER_HOLDER && item->who.since_ns)
		return (size_t)snprintf(out, max, "holder %" PRIu64 " %u %d '%s' since %" PRIu64 "\n",
					item->holder.session, item->holder.uid, item->who.pid,
					item->who.command, item->who.since_ns);
	if (item->kind == LEDGER_HOLDER)
		return (size_t)snprintf(out, max, "holder %" PRIu64 " %u\n", item->holder.session,
					item->holder.uid);
	if (item->kind == LEDGER_HOLD)
		return (size_t)snprintf(out, max, "hold %" PRIu64 " %" PRIu64 " %u %d %d\n",
					item->hold.session, item->hold.id, item->hold.slot,
					item->hold.read_only, item->hold.closed);
	if (item->kind == LEDGER_DEED)
		return (size_t)snprintf(out, max,
					"deed %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %d %u\n",
					item->deed.session, item->deed.key, item->deed.id,
					item->deed.slot, item->deed.proof, item->deed.version);
	for (uint32_t i = 0; i < item->nr_extents; i++)
		sum = sum * 31 + item->extents[i].off * 7 + item->extents[i].len;
	return (size_t)snprintf(out, max,
				"range %" PRIu64 " %" PRIu64 " %" PRIu64
				" %u %u:%u %o %d %d%d %u %u:%" PRIx64 " %.*s\n",
				r->id, r->session, r->created_ns, r->slot, r->uid, r->gid, r->mode,
				r->state, r->is_run, r->is_lease, r->flags, item->nr_extents, sum,
				item->name_len, item->name);
}

void state_text(char out[TEXT_MAX], struct ledger *l)
{
	struct ledger_item item;
	uint32_t cursor = 0;
	size_t len = 0;

	out[0] = '\0';
	while (ledger_next(&item, l, &cursor)) {
		len += item_text(out + len, TEXT_MAX - len, &item);
		ck_assert_uint_lt(len, TEXT_MAX);
	}
}

void expect_state(const char *expected)
{
	char text[TEXT_MAX];

	state_text(text, ledger);
	ck_assert_str_eq(text, expected);
}
