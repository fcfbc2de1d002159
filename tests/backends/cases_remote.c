// SPDX-License-Identifier: GPL-2.0-or-later
/* What is different where the device is another machine's: what goes over the network. */
#include "world.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define MIB		(1ULL << 20)
#define WHOLE		(8 * MIB)
#define LITTLE		(64ULL << 10)	/* of messages about what is to be done */
#define FILES_MAX	256

/* Of every connection that this process has, both ways. */
static uint64_t bytes_sent(void)
{
	struct tcp_info info;
	uint64_t bytes = 0;
	socklen_t room;

	for (int fd = 0; fd < FILES_MAX; fd++) {
		room = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &room))
			bytes += info.tcpi_bytes_sent + info.tcpi_bytes_received;
	}
	return bytes;
}

static void make(struct world *world, struct infini_backend_buffer *buffer)
{
	int ret = buffer_make(world, &world->memories[0], WHOLE, buffer);

	CHECK(!ret, "a buffer of %llu bytes: %s", WHOLE, strerror(-ret));
}

/* At least so many bytes and not many more since there were @before. */
static void sent(uint64_t before, uint64_t bytes, const char *what)
{
	uint64_t now = bytes_sent() - before;

	CHECK(now >= bytes && now <= bytes + LITTLE, "%s: %llu bytes on the network, not %llu", what,
	      (unsigned long long)now, (unsigned long long)bytes);
	remark("%s: %llu bytes on the network", what, (unsigned long long)now);
}

static void copies(struct world *world)
{
	static const struct { const char *what; bool within; uint64_t to, from, bytes, sent; } rows[] = {
		{ "8 MiB to another buffer", false, 0, 0, WHOLE, 0 },
		{ "4 MiB and three bytes to an odd place", false, 5, 7, 4 * MIB + 3, 0 },
		{ "3 MiB within a buffer", true, 5 * MIB, 0, 3 * MIB, 0 },
		{ "4 MiB by 2 MiB, up", true, 3 * MIB, MIB, 4 * MIB, 0 },
		{ "4 MiB by 2 MiB, down", true, MIB, 3 * MIB, 4 * MIB, 0 },
		{ "64 KiB by a byte", true, 1, 0, 64 << 10, 2 * (64 << 10) },
	};
	struct infini_backend_buffer a, b;
	uint64_t before;
	int ret;

	world_open(world);
	make(world, &a);
	make(world, &b);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		before = bytes_sent();
		ret = finished(world, world->ops->copy(world->backend, rows[i].within ? &a : &b, rows[i].to,
						       &a, rows[i].from, rows[i].bytes));
		CHECK(!ret, "%s: %s", rows[i].what, strerror(-ret));
		sent(before, rows[i].sent, rows[i].what);
	}
	buffer_drop(world, &b);
	buffer_drop(world, &a);
	world_close(world);
}

static void fills(struct world *world)
{
	static const struct { const char *what; uint64_t at, bytes; uint8_t value; uint64_t sent; } rows[] = {
		{ "zeros for all of a buffer", 0, WHOLE, 0, 0 },
		{ "another value", 0, WHOLE, 0x5a, MIB },
		{ "zeros for a part of it", 3, WHOLE - 3, 0, MIB },
		{ "a page", 4096, 4096, 0x5a, 4096 },
	};
	struct infini_backend_buffer buffer;
	uint64_t before;
	int ret;

	world_open(world);
	make(world, &buffer);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		before = bytes_sent();
		ret = finished(world, world->ops->fill(world->backend, &buffer, rows[i].at,
						       rows[i].value, rows[i].bytes));
		CHECK(!ret, "%s: %s", rows[i].what, strerror(-ret));
		sent(before, rows[i].sent, rows[i].what);
	}
	buffer_drop(world, &buffer);
	world_close(world);
}

const struct row remote_rows[] = {
	{ "copies from one place over there to another stay there", copies },
	{ "what a buffer is filled with goes over the network once", fills },
	{ NULL, NULL },
};
