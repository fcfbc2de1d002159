// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes to sound programs that leave them nearly sound.
 */
#include "program.h"

static const uint64_t odd_numbers[] = {
	0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 96, 127, 128, 255, 256, 257, 512, 1024,
	4096, 65535, 65536, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
	0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
};

static uint64_t odd_number(uint64_t *seed, uint64_t was)
{
	switch (next_random(seed) % 6) {
	case 0:
		return was + 1;
	case 1:
		return was - 1;
	case 2:
		return was * 2;
	case 3:
		return was / 2;
	default:
		return odd_numbers[next_random(seed) % (sizeof(odd_numbers) / 8)];
	}
}

static void change_tensor(struct infini_ggml_tensor *t, uint64_t *seed)
{
	uint32_t at = next_random(seed) % 4;

	switch (next_random(seed) % 12) {
	case 0:
		t->type = next_random(seed) % (GGML_TYPE_COUNT + 1);
		break;
	case 1:
		t->op = next_random(seed) % (GGML_OP_COUNT + 1);
		break;
	case 2:
		t->flags = next_random(seed) % 64;
		break;
	case 3:
		t->offset = odd_number(seed, t->offset);
		break;
	case 4:
	case 5:
		t->ne[at] = odd_number(seed, t->ne[at]);
		break;
	case 6:
	case 7:
		t->nb[at] = odd_number(seed, t->nb[at]);
		break;
	case 8:
	case 9:
		at = next_random(seed) % INFINI_GGML_PARAMS;
		t->op_params[at] = (int32_t)odd_number(seed, (uint32_t)t->op_params[at]);
		break;
	case 10:
		t->src[at] = next_random(seed) % 8 ? next_random(seed) % 8 : INFINI_GGML_NONE;
		break;
	default:
		t->view_offs = odd_number(seed, t->view_offs);
		t->offset += t->view_offs;
	}
}

static void pack(struct infini_ggml_tensor *t)
{
	int i;

	t->nb[0] = ggml_type_size(t->type);
	t->nb[1] = t->ne[0] / (uint64_t)ggml_blck_size(t->type) * t->nb[0];
	for (i = 2; i < 4; i++)
		t->nb[i] = t->nb[i - 1] * t->ne[i - 1];
}

/* Shape and strides together, so that more than the checks of strides is reached. */
static void reshape(struct infini_ggml_tensor *t, uint64_t *seed)
{
	uint64_t block = (uint64_t)ggml_blck_size(t->type), at = next_random(seed) % 4;

	t->ne[at] = (1 + next_random(seed) % 9) * (at ? 1 : block);
	pack(t);
}

/* One length becomes another in all tensors at once: a sound program of another size, often. */
void program_resize(struct program *program, uint64_t *seed)
{
	uint32_t i, nr = program_head(program)->nr_tensors;
	uint64_t from, to;
	int d;

	from = program_tensor(program, next_random(seed) % nr)->ne[next_random(seed) % 4];
	to = next_random(seed) % 3 ? 1 + next_random(seed) % 70 :
				     from * (1 + next_random(seed) % 4);
	program->arena_bytes = 0;
	for (i = 0; i < nr; i++) {
		struct infini_ggml_tensor *t = program_tensor(program, i);

		for (d = 0; d < 4; d++)
			if (t->ne[d] == from && (d || to % (uint64_t)ggml_blck_size(t->type) == 0))
				t->ne[d] = to;
		pack(t);
		t->offset = program->arena_bytes;
		if (t->view_src != INFINI_GGML_NONE)
			t->offset = program_tensor(program, t->view_src)->offset + t->view_offs;
		else
			program->arena_bytes += (t->nb[3] * t->ne[3] + 63) & ~63ULL;
	}
}

void program_change(const struct program *program, uint64_t *seed)
{
	struct infini_ggml_program *head = program_head(program);
	uint32_t times = next_random(seed) % 4, which;
	struct infini_ggml_tensor *t;

	while (times--) {
		which = next_random(seed) % head->nr_tensors;
		t = program_tensor(program, which);
		if (t->type < GGML_TYPE_COUNT && ggml_blck_size(t->type) && next_random(seed) % 2)
			reshape(t, seed);
		else
			change_tensor(t, seed);
		if (next_random(seed) % 64 == 0 && head->nr_nodes)
			program_nodes(program)[0] = next_random(seed) % (head->nr_tensors + 1);
	}
}
