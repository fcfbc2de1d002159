/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A /dev/infini in user space: libinfini's client functions over an executor that runs programs
 * on ggml's CPU backend, at once and in order. It refuses what the contract forbids.
 */
#ifndef INFINI_TESTS_FAKE_H
#define INFINI_TESTS_FAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/infini.h>

/* What a test may set, before or between calls. Zero means the default. */
struct infini_fake_settings {
	uint64_t memory_limit_bytes;
	uint64_t max_inline_bytes;
	uint32_t max_programs;
	uint32_t max_bindings;
	uint32_t max_queue_depth;
	uint64_t max_timeout_ns;
	bool repack;			/* offer the CPU's repacked memory as kind 1 */
	bool files;			/* kind 0 takes FILE buffers */
	uint32_t take_files;		/* so many whatever comes then */
	uint32_t refuse_files;		/* so many then are of file systems that it does not take */
	int refuse_err;			/* or fail with this */
	bool offline;			/* no executor can be had */
	const char *backend;		/* what the vdev's device is driven by */
	int open_err;			/* infini_client_open() fails with this */

	/* Jobs of operation @fail_op fail with @fail_err, after @fail_after of them passed. */
	uint32_t fail_op;
	uint32_t fail_after;
	int fail_err;

	uint32_t interrupt_every;	/* each nth waiting SUBMIT and WAIT reports EINTR */
	uint32_t accept_most;		/* of one SUBMIT; the rest is EAGAIN */
};

struct infini_fake_counts {
	uint64_t calls;			/* of any function: system calls */
	uint64_t submits;
	uint64_t buffers;		/* live */
	uint64_t programs;		/* live */
	uint64_t bytes;			/* charged */
	uint64_t file_bytes;		/* of files behind buffers */
	uint64_t broken_rules;		/* times the contract was broken; each says how on stderr */
	uint64_t jobs[INFINI_OP_ASK + 1];
};

extern struct infini_fake_settings infini_fake;
extern struct infini_fake_counts infini_fake_counts;

/* A buffer of the fake and the ggml buffer its executor sees. */
struct infini_fake_buffer {
	uint32_t type;
	uint32_t kind;
	uint64_t bytes;
	void *base;			/* NULL: free slot */
	struct ggml_backend_buffer *ggml;
	bool mapped;
	bool destroyed;
};

/* fake_ggml.c */
int infini_fake_memory(struct infini_fake_buffer *buffer);
void infini_fake_memory_free(struct infini_fake_buffer *buffer);
/* Bytes of a client or of another buffer; ranges may overlap. 0 or -errno. */
int infini_fake_write(struct infini_fake_buffer *buffer, uint64_t offset, const void *data,
		      uint64_t bytes);
int infini_fake_run(const void *program, uint64_t bytes, struct infini_fake_buffer **bindings,
		    uint32_t nr_bindings, const void *args, uint32_t args_bytes, uint64_t request);
int infini_fake_ask(const void *args, uint32_t args_bytes, struct infini_fake_buffer **bindings,
		    uint32_t nr_bindings, uint64_t *value);

#endif /* INFINI_TESTS_FAKE_H */
