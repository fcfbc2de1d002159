// SPDX-License-Identifier: GPL-2.0-or-later
/* The CUDA backend: kernels in PTX on NVIDIA's GPUs, through the driver's own library. */
#include "cuda_device.h"
#include "cuda_memory.h"
#include "cuda_program.h"

/* The driver's own needs for a context are not the vdev's and are not counted. */
static uint64_t cuda_held_bytes(struct infini_backend *backend)
{
	return backend->program_bytes + backend->local_bytes +
	       (backend->bounce ? CUDA_BOUNCE_BYTES : 0);
}

__attribute__((visibility("default")))
const struct infini_backend_ops infini_backend_ops = {
	.abi = INFINI_BACKEND_ABI,
	.name = "cuda",
	.format = INFINI_FORMAT_PTX,
	.probe = cuda_device_probe,
	.open = cuda_device_open,
	.close = cuda_device_close,
	.buffer_add = cuda_buffer_add,
	.buffer_remove = cuda_buffer_remove,
	.program_load = cuda_program_load,
	.program_free = cuda_program_free,
	.program_run = cuda_program_run,
	.write = cuda_buffer_write,
	.read = cuda_buffer_read,
	.copy = cuda_buffer_copy,
	.fill = cuda_buffer_fill,
	.finish = cuda_device_finish,
	.held_bytes = cuda_held_bytes,
};
