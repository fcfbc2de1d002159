// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ggml backend: every device that libggml offers, for programs of format "ggml".
 *
 *	ggml_device	devices, kinds of memory, threads
 *	ggml_remote	those of other machines
 *	ggml_buffer	memory
 *	ggml_validate	bytes of a stranger -> a sound graph, by the rules of ggml_rules*
 *	ggml_plan	a sound graph -> segments
 *	ggml_speed	how slow this CPU is, so how short segments have to be
 *	ggml_build	segments on real buffers -> ggml's graphs
 *	ggml_content	index tensors, looked at before each use
 *	ggml_tokens	how many tokens a graph carries
 *	ggml_program	all of that for one program, and its runs
 *	ggml_ask	questions
 */
#include "ggml_ask.h"
#include "ggml_buffer.h"
#include "ggml_device.h"
#include "ggml_program.h"

static uint64_t held_bytes(struct infini_backend *backend)
{
	return backend->held_bytes + backend->scratch_bytes + backend->formed_bytes;
}

__attribute__((visibility("default")))
const struct infini_backend_ops infini_backend_ops = {
	.abi = INFINI_BACKEND_ABI,
	.name = "ggml",
	.format = INFINI_FORMAT_GGML,
	.probe = infini_ggml_device_probe,
	.probe_remote = infini_ggml_device_probe_remote,
	.open = infini_ggml_device_open,
	.close = infini_ggml_device_close,
	.buffer_add = infini_ggml_buffer_add,
	.buffer_remove = infini_ggml_buffer_remove,
	.program_load = infini_ggml_program_load,
	.program_free = infini_ggml_program_free,
	.program_run = infini_ggml_program_run,
	.ask = infini_ggml_ask,
	.write = infini_ggml_buffer_write,
	.read = infini_ggml_buffer_read,
	.copy = infini_ggml_buffer_copy,
	.fill = infini_ggml_buffer_fill,
	.held_bytes = held_bytes,
};
