// SPDX-License-Identifier: GPL-2.0-or-later
/* In place of a backend whose device cannot be opened: what waits for it ends with EIO. */
#include "refusal.h"

#include <errno.h>

/* Every job comes by here, or has nothing to do with memory and programs. */
static int refuse_buffer(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	(void)backend;
	(void)buffer;
	return -EIO;
}

static int refuse_program(struct infini_backend *backend, const void *data, size_t bytes,
			  struct infini_backend_program **program)
{
	(void)backend;
	(void)data;
	(void)bytes;
	(void)program;
	return -EIO;
}

static int refuse_run(struct infini_backend *backend, struct infini_backend_run *run)
{
	(void)backend;
	(void)run;
	return -EIO;
}

static uint64_t held_bytes(struct infini_backend *backend)
{
	(void)backend;
	return 0;
}

const struct infini_backend_ops infini_refusal_ops = {
	.abi = INFINI_BACKEND_ABI,
	.name = "refusal",
	.buffer_add = refuse_buffer,
	.program_load = refuse_program,
	.ask = refuse_run,
	.held_bytes = held_bytes,
};
