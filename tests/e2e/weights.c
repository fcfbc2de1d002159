// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client whose weights are a file: one matrix of it times a vector of ones, on the vdev in $INFINI_VDEV,
 * for each line of the standard input. "once" prints the first element of the result, or how the job ended;
 * "until-refused" goes on until one ends otherwise; "anew" makes the buffer again from the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ggml.h>
#include <infini.h>
#include <infini/ggml.h>

#include "job.h"

#define COLUMNS	4096
#define ROWS	4096
#define Y_AT	(COLUMNS * sizeof(float))

struct code {
	struct infini_ggml_program head;
	struct infini_ggml_tensor tensors[3];
	uint32_t node;
};

static const char *path;
static uint32_t kind, queue, program, work, shown;
static const float *result;
static int fd;

static void need(int err, const char *what)
{
	if (err >= 0)
		return;
	fprintf(stderr, "weights: %s: %s\n", what, strerror(-err));
	exit(1);
}

static struct infini_ggml_tensor tensor(enum ggml_type type, uint32_t binding, uint64_t columns,
					uint64_t rows)
{
	struct infini_ggml_tensor t = {
		.type = type,
		.binding = binding,
		.ne = { columns, rows, 1, 1 },
		.view_src = INFINI_GGML_NONE,
	};

	t.nb[0] = ggml_type_size(type);
	t.nb[1] = ggml_row_size(type, (int64_t)columns);
	t.nb[2] = t.nb[3] = t.nb[1] * rows;
	for (int i = 0; i < INFINI_GGML_SRC_MAX; i++)
		t.src[i] = INFINI_GGML_NONE;
	return t;
}

static void make_program(enum ggml_type type)
{
	struct code code = {
		.head = {
			.magic = INFINI_GGML_MAGIC,
			.version = INFINI_GGML_VERSION,
			.ops = GGML_OP_COUNT,
			.types = GGML_TYPE_COUNT,
			.nr_tensors = 3,
			.nr_nodes = 1,
			.nr_bindings = 2,
		},
		.tensors = {
			tensor(type, 0, COLUMNS, ROWS),
			tensor(GGML_TYPE_F32, 1, COLUMNS, 1),
			tensor(GGML_TYPE_F32, 1, ROWS, 1),
		},
		.node = 2,
	};

	code.tensors[2].op = GGML_OP_MUL_MAT;
	code.tensors[2].flags = GGML_TENSOR_FLAG_COMPUTE;
	code.tensors[2].offset = Y_AT;
	code.tensors[2].src[0] = 0;
	code.tensors[2].src[1] = 1;
	need(infini_program_create(fd, INFINI_FORMAT_GGML, &code,
				   offsetof(struct code, node) + sizeof(code.node), &program),
	     "program");
}

/* The kind of memory in which programs read files. */
static uint32_t file_kind(void)
{
	struct infini_memory_kind kinds[16];
	struct infini_vdev_info info = {
		.kinds = (uintptr_t)kinds,
		.kinds_capacity = 16,
		.kinds_stride = sizeof(kinds[0]),
	};

	need(infini_vdev_info(fd, &info), "vdev");
	for (uint32_t i = 0; i < info.nr_kinds && i < 16; i++)
		if (kinds[i].flags & INFINI_MEMORY_F_FILE)
			return i;
	fprintf(stderr, "weights: no kind of memory takes files\n");
	exit(1);
}

static uint32_t buffer(uint32_t type, uint64_t bytes)
{
	struct infini_buffer_create create = {
		.type = type,
		.kind = type == INFINI_BUFFER_SHARED ? 0 : kind,
		.bytes = bytes,
	};
	void *at;

	need(infini_buffer_create(fd, &create), "buffer");
	if (type == INFINI_BUFFER_SHARED) {
		need(infini_buffer_map(fd, create.map_offset, bytes, &at), "mapping");
		result = at;
	}
	return create.handle;
}

static uint32_t file_buffer(enum ggml_type type)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_FILE,
		.kind = kind,
		.bytes = ggml_row_size(type, COLUMNS) * ROWS,
		.fd = open(path, O_RDONLY | O_CLOEXEC),
	};

	need(create.fd < 0 ? -errno : infini_buffer_create(fd, &create), path);
	close(create.fd);
	return create.handle;
}

static int run(uint32_t weights)
{
	static float ones[COLUMNS];
	struct infini_binding bindings[] = {
		{ weights, INFINI_ACCESS_READ },
		{ work, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE },
		{ shown, INFINI_ACCESS_WRITE },
	};
	struct infini_input input = {
		.binding = 1, .bytes = sizeof(ones), .data = (uintptr_t)ones,
	};
	struct infini_output output = {
		.src_binding = 1, .dst_binding = 2, .src_offset = Y_AT, .bytes = sizeof(float),
	};
	struct infini_job job = {
		.op = INFINI_OP_PROGRAM,
		.program = program,
		.nr_bindings = 3,
		.nr_inputs = 1,
		.nr_outputs = 1,
		.bindings = (uintptr_t)bindings,
		.inputs = (uintptr_t)&input,
		.outputs = (uintptr_t)&output,
	};
	int status;

	for (int i = 0; i < COLUMNS; i++)
		ones[i] = 1;
	need(job_run(fd, queue, &job, &status), "submission");
	return status;
}

static void answer(int status)
{
	if (status)
		printf("%s\n", strerrorname_np(-status));
	else
		printf("%g\n", result[0]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct infini_queue_create create = { .depth = 1 };
	enum ggml_type type;
	uint32_t weights;
	char line[32];
	int status;

	if (argc != 3) {
		fprintf(stderr, "usage: weights FILE f32|q4_0\n");
		return 2;
	}
	path = argv[1];
	type = strcmp(argv[2], "f32") ? GGML_TYPE_Q4_0 : GGML_TYPE_F32;
	fd = infini_client_open(NULL, NULL);
	need(fd, "vdev");
	kind = file_kind();
	need(infini_queue_create(fd, &create), "queue");
	queue = create.handle;
	work = buffer(INFINI_BUFFER_DEVICE, Y_AT + ROWS * sizeof(float));
	shown = buffer(INFINI_BUFFER_SHARED, 4096);
	make_program(type);
	weights = file_buffer(type);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "anew\n")) {
			need(infini_buffer_destroy(fd, weights), "buffer");
			weights = file_buffer(type);
		}
		do {
			status = run(weights);
			if (!status && !strcmp(line, "until-refused\n"))
				putchar('.');
			fflush(stdout);
		} while (!status && !strcmp(line, "until-refused\n"));
		answer(status);
	}
	return 0;
}
