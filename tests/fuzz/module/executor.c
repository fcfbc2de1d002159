// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An executor of which one does not know what it will do next: it answers rightly, wrongly, late,
 * twice, for others, or not at all; it leaves in the middle, and two of its threads may exchange.
 */
#include <errno.h>
#include <linux/infini.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"

#define WINDOW	16
#define ARENA	(2 << 20)

static int file;
static unsigned int vdev_index, run_turn;
static uint32_t window;
static size_t payload_bytes;
static const volatile uint64_t *word;

/* Of each thread: what it was given and has not answered. */
struct hands {
	uint8_t *payload;
	struct infini_dispatch *given;	/* WINDOW of them, and room for those that lie a page apart */
	struct infini_dispatch held[2 * WINDOW];
	unsigned int nr_held;
	uint64_t last;			/* dispatch that it has seen */
};

static bool attach(void)
{
	struct infini_executor_attach arg = {
		.protocol = INFINI_PROTOCOL_VERSION,
		.window = 1 + random_below(one_in(2) ? 2 : WINDOW),
	};
	void *at;
	int err, tries = 20;

	do {
		window = arg.window;
		err = call_ioctl(CALL_EXECUTOR_ATTACH, file, INFINI_IOC_EXECUTOR_ATTACH, &arg,
				 sizeof(arg));
		if (err == -ENODEV)
			return false;
		arg.protocol = INFINI_PROTOCOL_VERSION;
		arg.window = 1 + random_below(WINDOW);
		arg.flags = arg.pad = 0;
	} while (err && err != -EBUSY && err != -EFAULT && tries--);
	payload_bytes = arg.payload_bytes ? arg.payload_bytes : (1 << 20) + 16384;
	call_begin(CALL_MMAP_WORD);
	at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file,
		  arg.yield_offset ? arg.yield_offset : (uint64_t)(1 << 20) * PAGE);
	call_end(CALL_MMAP_WORD, at == MAP_FAILED ? -errno : 0);
	word = at == MAP_FAILED ? NULL : at;
	return true;
}

static bool asked(uint64_t dispatch)
{
	volatile bool yes = false;

	if (word && !sigsetjmp(me.back, 1)) {
		me.touching = 1;
		yes = *word >= dispatch;
	}
	me.touching = 0;
	return yes;
}

/* ---- what it does with a job ---- */

static void map_binding(const struct infini_dispatch_binding *binding)
{
	uint64_t offset = one_in(32) ? random_odd() & -(uint64_t)PAGE : binding->map_offset;
	size_t bytes = binding->bytes;
	void *at;

	if (!binding->map_offset || !bytes || bytes > 4 << 20)
		return;
	if (one_in(16))
		bytes += PAGE;
	call_begin(CALL_MMAP_EXECUTOR);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, offset);
	call_end(CALL_MMAP_EXECUTOR, at == MAP_FAILED ? -errno : 0);
	if (at == MAP_FAILED)
		return;
	touch(at, bytes, true);
	/* Now and then it stays, as a worker's does. */
	if (!one_in(32))
		munmap(at, bytes);
}

static void receive_file(const struct infini_dispatch_binding *binding)
{
	struct infini_buffer_receive arg = {
		.buffer = one_in(16) ? random_odd() : binding->buffer,
	};
	volatile const uint8_t *at;

	if (call_ioctl(CALL_BUFFER_RECEIVE, file, INFINI_IOC_BUFFER_RECEIVE, &arg, sizeof(arg)))
		return;
	at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, arg.fd, (off_t)arg.offset);
	close(arg.fd);
	if (at != MAP_FAILED)
		munmap((void *)at, PAGE);
}

static void read_program(const struct infini_dispatch *dispatch)
{
	static _Thread_local uint8_t data[16384];
	struct infini_program_read arg = {
		.program = one_in(16) ? random_odd() : dispatch->object,
		.bytes = dispatch->program_bytes < sizeof(data) ? dispatch->program_bytes :
								  sizeof(data),
		.data = (uintptr_t)data,
	};

	memset(data, 0, sizeof(data));
	if (one_in(8))
		arg.offset = random_odd();
	call_ioctl(CALL_PROGRAM_READ, file, INFINI_IOC_PROGRAM_READ, &arg, sizeof(arg));
}

static void look_at(const struct hands *hands, const struct infini_dispatch *dispatch)
{
	const struct infini_dispatch_binding *bindings =
		(const void *)(hands->payload + dispatch->bindings);
	uint32_t i;

	if (dispatch->bindings > payload_bytes || dispatch->nr_bindings > 64) {
		promise_broken("a dispatch has %u bindings at %llu", dispatch->nr_bindings,
			       (unsigned long long)dispatch->bindings);
		return;
	}
	for (i = 0; i < dispatch->nr_bindings; i++)
		if (one_in(4) && bindings[i].type == INFINI_BUFFER_FILE)
			receive_file(&bindings[i]);
		else if (one_in(4))
			map_binding(&bindings[i]);
	if (dispatch->op == INFINI_OP_PROGRAM && one_in(2))
		read_program(dispatch);
}

static void take(struct hands *hands, uint32_t returned)
{
	uint32_t i;

	for (i = 0; i < returned && i < WINDOW; i++) {
		const struct infini_dispatch *dispatch = &hands->given[i];

		if (!dispatch->dispatch)
			continue;
		shared->jobs++;
		hands->last = dispatch->dispatch;
		look_at(hands, dispatch);
		if (hands->nr_held < ARRAY_SIZE(hands->held))
			hands->held[hands->nr_held++] = *dispatch;
	}
}

/* ---- what it answers ---- */

static void answer(const struct infini_dispatch *dispatch, struct infini_result *result)
{
	*result = (struct infini_result){
		.dispatch = dispatch->dispatch,
		.value = random_u64(),
		.tokens_evaluated = random_below(8),
	};
	result->tokens_generated = random_below(2);
	if (one_in(12) || (asked(dispatch->dispatch) && !one_in(4))) {
		result->state = INFINI_RESULT_PREEMPTED;
		result->segment = dispatch->segment + random_below(3);
	} else if (one_in(12)) {
		result->status = -1 - (int32_t)random_below(one_in(4) ? 4095 : 133);
	}
	if (one_in(64))
		mangle(result, sizeof(*result));
	if (one_in(64))
		result->dispatch = one_in(2) ? random_odd() : random_below(dispatch->dispatch + 2);
}

/* Of what it holds some, oldest first as a rule; @given are they. */
static uint32_t answers(struct hands *hands, struct infini_result *results,
			struct infini_dispatch *given)
{
	uint32_t nr = 0;
	unsigned int i, kept = 0;

	for (i = 0; i < hands->nr_held; i++) {
		if (nr < WINDOW && !one_in(12)) {
			given[nr] = hands->held[i];
			answer(&hands->held[i], &results[nr++]);
		} else {
			hands->held[kept++] = hands->held[i];
		}
	}
	hands->nr_held = kept;
	/* The same once more. */
	if (nr && nr < WINDOW && one_in(64)) {
		given[nr] = given[nr - 1];
		results[nr] = results[nr - 1];
		nr++;
	}
	return nr;
}

/* An executor that looks again and again leaves the others no time. */
static int64_t patience(void)
{
	if (one_in(16))
		return random_deadline();
	return now_ns() + (one_in(4) ? 60 * SECOND : 50000000);
}

static void exchange(struct hands *hands)
{
	struct infini_dispatch given[WINDOW];
	struct infini_result results[WINDOW];
	struct infini_exchange arg = {
		.results = (uintptr_t)results,
		.nr_results = answers(hands, results, given),
		.results_stride = sizeof(results[0]),
		.dispatches = (uintptr_t)hands->given,
		.nr_dispatches = one_in(16) ? 0 : 1 + random_below(WINDOW),
		.dispatches_stride = sizeof(hands->given[0]),
		.payload = (uintptr_t)hands->payload,
		.payload_bytes = payload_bytes,
		.deadline_ns = patience(),
		.held_bytes = one_in(16) ? random_odd() : 65536,
	};
	struct timespec pause = { .tv_nsec = 1000000 };
	uint32_t nr = arg.nr_results, i;
	int err;

	memset(hands->given, 0, WINDOW * sizeof(hands->given[0]));
	err = call_ioctl(CALL_EXCHANGE, file, INFINI_IOC_EXCHANGE, &arg, sizeof(arg));
	if (err == -ENODEV) {
		shared->revoked++;
		_exit(0);
	}
	if (!err) {
		/* Asked for elsewhere, they are not where it would look. */
		if (arg.dispatches == (uintptr_t)hands->given &&
		    arg.dispatches_stride == sizeof(hands->given[0]))
			take(hands, arg.returned);
		/* It holds what it does not know of any more, or the other thread does. */
		if (!nr && !arg.returned)
			nanosleep(&pause, NULL);
		return;
	}
	/* The other thread waits in there, or another process is who may. */
	if (err == -EPERM || err == -EBUSY)
		nanosleep(&pause, NULL);
	/* What the module did not take is still to be answered, except a lie. */
	i = err == -EPROTO || err == -ESTALE ? arg.accepted + 1 : arg.accepted;
	for (; i < nr && hands->nr_held < ARRAY_SIZE(hands->held); i++)
		hands->held[hands->nr_held++] = given[i];
}

static void serve(unsigned int thread)
{
	struct hands *hands = calloc(1, sizeof(*hands));

	actor_begin(ACTOR_EXECUTOR(vdev_index) + thread, run_turn);
	if (!hands)
		_exit(1);
	/*
	 * Populated, as all that only the kernel writes to is touched before: User-mode Linux falls
	 * over a page that it could not allocate for a copy.
	 */
	hands->payload = mmap(NULL, ARENA + WINDOW * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	hands->given = (void *)(hands->payload + ARENA);
	if (hands->payload == MAP_FAILED || (!thread && !attach()))
		_exit(1);
	while (!shared->stop) {
		exchange(hands);
		if (one_in(64))
			end_reason(file);
		if (one_in(4096))
			send_fd(file);
		if (one_in(4096))
			_exit(0);
		/* A kernel that never comes back. */
		if (one_in(4096))
			for (;;)
				pause();
	}
	_exit(0);
}

static void *second_thread(void *unused)
{
	(void)unused;
	serve(1);
	return NULL;
}

void executor_run(int fd, unsigned int vdev, unsigned int turn)
{
	pthread_t thread;

	file = fd;
	vdev_index = vdev;
	run_turn = turn;
	payload_bytes = (1 << 20) + 16384;
	me.random += turn;
	if (turn % 4 == 3)
		pthread_create(&thread, NULL, second_thread, NULL);
	serve(0);
	_exit(0);
}
