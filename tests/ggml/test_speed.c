// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How slow a CPU is taken for, in virtual time: looking at the clock and computing a product take what a row of
 * the table says.
 */
#include "program.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ggml_speed.h"

static struct {
	bool on;
	uint64_t now_ns, look_ns, product_ns;
	uint32_t products;
} fake;

/* Instead of libc's. */
int clock_gettime(clockid_t clock, struct timespec *at)
{
	if (!fake.on)
		return (int)syscall(SYS_clock_gettime, clock, at);
	fake.now_ns += fake.look_ns;
	at->tv_sec = (time_t)(fake.now_ns / 1000000000);
	at->tv_nsec = (long)(fake.now_ns % 1000000000);
	return 0;
}

/* Instead of libggml's; what comes out is nobody's. */
enum ggml_status ggml_backend_graph_compute(ggml_backend_t stream, struct ggml_cgraph *graph)
{
	uint32_t nodes = (uint32_t)ggml_graph_n_nodes(graph);

	(void)stream;
	fake.now_ns += nodes * fake.product_ns;
	fake.products += nodes;
	return GGML_STATUS_SUCCESS;
}

static const struct {
	const char *name;
	uint64_t look_ns, product_ns;
	uint32_t slowness;
} rows[] = {
	{ "a fast core is no slower than usual", 20, 4000, 1 },
	{ "one that is as the plan takes it", 20, 17000, 1 },
	{ "a clock that takes longer to read than a product to compute is not its fault", 50000, 8000, 1 },
	{ "a core of a third of the speed", 20, 51000, 4 },
	{ "an emulated one", 20, 850000, 64 },
	{ "the slowest there is", 20, 1000000000, 256 },
};

int main(void)
{
	struct infini_backend *backend = backend_open("cpu0", 1);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake.on = true;
		fake.look_ns = rows[i].look_ns;
		fake.product_ns = rows[i].product_ns;
		fake.products = 0;
		CHECK(infini_ggml_speed_slowness(backend) == rows[i].slowness);
		/* A worker's start waits for them: 50 ms on an emulated core. */
		CHECK(fake.products && fake.products <= 64);
		fake.on = false;
		row_done(rows[i].name);
	}
	infini_backend_ops.close(backend);
	return tests_done();
}
