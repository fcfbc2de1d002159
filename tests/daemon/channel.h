/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel channel for tests: stands where libinfini's executor calls are, hands out jobs that a
 * test has queued, and keeps every result. The linker puts it there (-Wl,--wrap).
 */
#ifndef INFINI_TESTS_DAEMON_CHANNEL_H
#define INFINI_TESTS_DAEMON_CHANNEL_H

#include <infini.h>
#include <stdbool.h>
#include <stdint.h>

#define CHANNEL_FD		77
#define CHANNEL_JOBS_MAX	64
#define CHANNEL_BUFFERS_MAX	8
#define CHANNEL_PAYLOAD_BYTES	65536

/* One job as the module would hand it out; arrays are laid into the payload when it goes. */
struct channel_job {
	struct infini_dispatch dispatch;
	struct infini_dispatch_binding bindings[4];
	struct infini_input inputs[4];		/* .data is an index into input_bytes */
	struct infini_output outputs[4];
	uint8_t input_bytes[64];
	uint8_t args[64];
	/* Called on what the worker is about to get: to spoil it. */
	void (*spoil)(struct infini_dispatch *dispatch, uint8_t *payload);
};

struct channel {
	struct channel_job jobs[CHANNEL_JOBS_MAX];
	uint32_t nr_jobs;
	uint32_t next_job;
	uint64_t next_dispatch;
	struct infini_result results[CHANNEL_JOBS_MAX];
	uint32_t nr_results;
	uint32_t results_before[CHANNEL_JOBS_MAX];	/* had come in when job i was handed out */
	uint64_t word;				/* the yield word */
	int end;				/* what EXCHANGE says when no job is left */
	int fail_next;				/* one error, before anything is taken */
	uint32_t accept_at_most;		/* results taken by one call; 0: all */
	uint32_t hand_out_at_most;		/* jobs handed out by one call; 0: all */
	void (*on_idle)(void);			/* called when no job is left, before @end */
	uint32_t calls;
	uint32_t calls_without_room;
	int64_t last_deadline_ns;
	uint64_t last_held_bytes;
	uint8_t *memory[CHANNEL_BUFFERS_MAX];	/* by map_offset / 4096 */
	uint64_t memory_bytes[CHANNEL_BUFFERS_MAX];
	bool mapped[CHANNEL_BUFFERS_MAX];
	int map_error;
	int file_fd;				/* behind every FILE buffer, from file_offset */
	uint64_t file_offset;
	uint32_t receives;
	uint8_t program[256];
	uint32_t program_reads;
	int program_error;
};

extern struct channel channel;

void channel_open(void);
void channel_close(void);

/* The next job of @op; the test fills the rest. */
struct channel_job *channel_push(uint32_t op);

/* A SHARED buffer with memory of its own: its id is @index + 1. */
struct infini_dispatch_binding channel_shared(uint32_t index, uint64_t bytes);

/* A buffer that the executor is to hold. */
struct infini_dispatch_binding channel_held(uint64_t id, uint64_t bytes);

/* A FILE buffer of file_fd, for reading. */
struct infini_dispatch_binding channel_file(uint64_t id, uint64_t bytes);

/* Add to a job. */
void channel_bind(struct channel_job *job, struct infini_dispatch_binding binding);
void channel_input(struct channel_job *job, uint32_t binding, uint64_t offset, const void *data,
		   uint32_t bytes);
void channel_output(struct channel_job *job, uint32_t src, uint64_t src_offset, uint32_t dst,
		    uint64_t dst_offset, uint64_t bytes);

#endif /* INFINI_TESTS_DAEMON_CHANNEL_H */
