// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The OpenCL backend: every device that an installed OpenCL driver offers, through the ICD loader.
 *
 * A kernel is native code of a stranger once it is compiled. Nothing here can check what it does with
 * the memory of this process; that it reaches no other vdev is the sandbox's work.
 */
#include "opencl_buffer.h"
#include "opencl_device.h"
#include "opencl_program.h"

__attribute__((visibility("default")))
const struct infini_backend_ops infini_backend_ops = {
	.abi = INFINI_BACKEND_ABI,
	.name = "opencl",
	.format = INFINI_FORMAT_OPENCL_C,
	.probe = infini_opencl_device_probe,
	.open = infini_opencl_device_open,
	.close = infini_opencl_device_close,
	.buffer_add = infini_opencl_buffer_add,
	.buffer_remove = infini_opencl_buffer_remove,
	.program_load = infini_opencl_program_load,
	.program_free = infini_opencl_program_free,
	.program_run = infini_opencl_program_run,
	.write = infini_opencl_buffer_write,
	.read = infini_opencl_buffer_read,
	.copy = infini_opencl_buffer_copy,
	.fill = infini_opencl_buffer_fill,
	.held_bytes = infini_opencl_device_held_bytes,
};
