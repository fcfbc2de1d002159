// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The worker's loop: take jobs from the kernel, run them, hand the results back.
 *
 * A signal handler stops the loop without a lost wake-up: it stores a deadline of 0 into the very
 * struct that EXCHANGE reads, so that a signal between the last look at the flag and the system
 * call makes that call return at once.
 */
#include "exchange.h"

#include <errno.h>
#include <infini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Jobs above this, and programs, hand their result in before the next one of the window begins. */
#define QUICK_BYTES	(64u << 10)

int infini_exchanger_init(struct infini_exchanger *x, int fd, uint32_t window,
			  size_t payload_bytes, const uint64_t *word,
			  struct infini_objects *objects)
{
	memset(x, 0, sizeof(*x));
	x->fd = fd;
	x->window = window;
	x->yield.word = word;
	x->dispatches = calloc(window, sizeof(*x->dispatches));
	x->results = calloc(2 * (size_t)window, sizeof(*x->results));
	x->job.max_bindings = infini_job_bindings_max(payload_bytes);
	x->job.bindings = calloc((size_t)x->job.max_bindings + 1, sizeof(*x->job.bindings));
	/* Pages come with the first job that needs them: most need one, and the worker starts sooner. */
	x->payload = mmap(NULL, payload_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (x->payload == MAP_FAILED)
		x->payload = NULL;
	x->job.payload = x->payload;
	x->job.payload_bytes = payload_bytes;
	x->job.objects = objects;
	x->job.yield = &x->yield;
	if (x->dispatches && x->results && x->job.bindings && x->payload)
		return 0;
	infini_exchanger_release(x);
	return -ENOMEM;
}

void infini_exchanger_release(struct infini_exchanger *x)
{
	free(x->dispatches);
	free(x->results);
	free(x->job.bindings);
	if (x->payload)
		munmap(x->payload, x->job.payload_bytes);
	memset(x, 0, sizeof(*x));
}

void infini_exchanger_stop(struct infini_exchanger *x)
{
	x->stop = 1;
	__atomic_store_n(&x->yield.dispatch, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&x->exchange.deadline_ns, 0, __ATOMIC_RELAXED);
}

void infini_exchanger_retire(struct infini_exchanger *x)
{
	x->retire = 1;
	__atomic_store_n(&x->exchange.deadline_ns, 0, __ATOMIC_RELAXED);
}

/* Hand all results in and take up to @room jobs. The payload of earlier jobs is overwritten. */
static int exchange_once(struct infini_exchanger *x, uint32_t room)
{
	const struct infini_objects *objects = x->job.objects;
	struct infini_exchange *e = &x->exchange;
	int ret;

	e->results = (uintptr_t)x->results;
	e->nr_results = x->nr_results;
	e->results_stride = sizeof(*x->results);
	e->dispatches = (uintptr_t)x->dispatches;
	e->nr_dispatches = room;
	e->dispatches_stride = sizeof(*x->dispatches);
	e->payload = (uintptr_t)x->payload;
	e->payload_bytes = x->job.payload_bytes;
	e->held_bytes = objects->program_bytes + objects->ops->held_bytes(objects->backend);
	e->accepted = 0;
	e->returned = 0;
	__atomic_store_n(&e->deadline_ns, room ? INFINI_FOREVER : 0, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (x->stop || x->retire)
		__atomic_store_n(&e->deadline_ns, 0, __ATOMIC_RELAXED);
	ret = infini_exchange(x->fd, e);
	if (e->accepted > x->nr_results || e->returned > room)
		return -EPROTO;
	if (ret && ret != -EINTR)
		return ret;
	if (ret)
		e->returned = 0;
	x->nr_results -= e->accepted;
	if (e->accepted && x->nr_results)
		memmove(x->results, x->results + e->accepted, x->nr_results * sizeof(*x->results));
	return 0;
}

/* Hand in what is finished, taking nothing new. */
static int hand_in(struct infini_exchanger *x)
{
	uint32_t before;
	int ret;

	while (x->nr_results) {
		before = x->nr_results;
		ret = exchange_once(x, 0);
		if (ret)
			return ret;
		if (x->nr_results == before)
			return -EPROTO;
	}
	return 0;
}

static bool is_quick(const struct infini_dispatch *d)
{
	if (d->op == INFINI_OP_COPY || d->op == INFINI_OP_FILL)
		return d->bytes <= QUICK_BYTES;
	return d->op == INFINI_OP_NOP;
}

static void run_one(struct infini_exchanger *x, const struct infini_dispatch *d)
{
	struct infini_result *result = &x->results[x->nr_results];

	__atomic_store_n(&x->yield.dispatch, d->dispatch, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (x->stop || x->job.lost || infini_yield_covers(&x->yield))
		infini_job_give_back(d, result);
	else
		infini_job_run(&x->job, d, result);
	x->nr_results++;
}

static int run_window(struct infini_exchanger *x)
{
	uint32_t returned = x->exchange.returned;
	const struct infini_dispatch *d;
	int ret;

	for (uint32_t i = 0; i < returned; i++) {
		d = &x->dispatches[i];
		if (!d->dispatch) {
			infini_job_notice(&x->job, d);
			continue;
		}
		run_one(x, d);
		if (i + 1 < returned && !is_quick(d)) {
			ret = hand_in(x);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/* Executor-held buffers die with this process; all else the kernel or the client can give again. */
static bool may_retire(const struct infini_exchanger *x)
{
	return !x->job.objects->buffers.nr_objects;
}

int infini_exchanger_serve(struct infini_exchanger *x)
{
	int ret;

	while (!x->stop && !x->job.lost) {
		ret = exchange_once(x, x->window);
		if (ret)
			return ret;
		/* There is room for one window that was not taken and one that is new. */
		if (x->nr_results > x->window)
			return -EPROTO;
		ret = run_window(x);
		if (ret)
			return ret;
		if (x->retire && !x->exchange.returned) {
			if (may_retire(x))
				break;
			x->retire = 0;
		}
	}
	ret = hand_in(x);
	return !ret && x->job.lost ? -EIO : ret;
}
