// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sound examples of operations, each broken in one place, with what they are refused for. Every
 * condition that keeps a kernel inside its tensors has a row.
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct program program;

static struct infini_ggml_tensor *node(void)
{
	return program_tensor(&program, program_head(&program)->nr_tensors - 1);
}

static struct infini_ggml_tensor *src(int i)
{
	return program_tensor(&program, node()->src[i]);
}

/* One element more in dimension @d, packed as a new tensor would be. */
static void grow(struct infini_ggml_tensor *t, int d)
{
	t->ne[d]++;
	t->nb[1] = t->ne[0] * t->nb[0];
	t->nb[2] = t->ne[1] * t->nb[1];
	t->nb[3] = t->ne[2] * t->nb[2];
}

#define ROW(name, text, case_name, words, ...) static void name(void) { __VA_ARGS__; }
#define TABLE \
	ROW(col_window, "no stride", "col2im, 1d", "window", node()->op_params[0] = 0) \
	ROW(col_pad, "negative padding", "col2im, 1d", "window", node()->op_params[2] = -1) \
	ROW(col_none, "no channels", "col2im, 1d", "window", node()->op_params[1] = 0) \
	ROW(col_channels, "part of a channel", "col2im, 1d", "channels", \
	    node()->op_params[1] = 5) \
	ROW(col_far, "padding beyond int", "col2im, 1d", "shape", \
	    node()->op_params[2] = INT32_MAX) \
	ROW(col_shape, "a longer signal", "col2im, 1d", "shape", grow(node(), 0)) \
	ROW(col_gaps, "columns with gaps", "col2im, 1d", "layout", src(0)->nb[1] += 4) \
	ROW(col_type, "columns of integers", "col2im, 1d", "type", \
	    src(0)->type = node()->type = GGML_TYPE_I32) \
	ROW(back_rows, "more indices than rows", "get rows, back", "more indices", \
	    src(1)->ne[0] = 5; src(1)->nb[1] = src(1)->nb[2] = src(1)->nb[3] = 20) \
	ROW(back_index, "an index outside of the result", "get rows, back", "outside of 0..0", \
	    node()->ne[1] = 1; node()->nb[2] = node()->nb[3] = node()->nb[1]) \
	ROW(back_width, "wider rows than there are", "get rows, back", "shape", \
	    grow(node(), 0)) \
	ROW(back_scattered, "scattered indices", "get rows, back", "vector", src(1)->nb[0] = 8) \
	ROW(back_over, "a result over its indices", "get rows, back", "overwrites", \
	    node()->offset = src(1)->offset) \
	ROW(loss_shape, "labels of another shape", "cross entropy", "shapes", grow(src(1), 1)) \
	ROW(loss_gaps, "rows with gaps", "cross entropy", "contiguous", src(0)->nb[1] += 4) \
	ROW(loss_result, "more than one loss", "cross entropy", "scalar", grow(node(), 0)) \
	ROW(loss_type, "labels of half the size", "cross entropy", "type", \
	    src(1)->type = GGML_TYPE_F16) \
	ROW(loss_back_result, "a gradient of another shape", "cross entropy, back", "shapes", \
	    grow(node(), 3)) \
	ROW(loss_back_rows, "gradients that lie anywhere", "cross entropy, back", "contiguous", \
	    node()->nb[1] = 1 << 20) \
	ROW(loss_back_scalar, "more than one gradient", "cross entropy, back", "scalar", \
	    grow(src(0), 0)) \
	ROW(adam_shape, "momenta of another shape", "adamw", "shapes", grow(src(2), 1)) \
	ROW(adam_strides, "momenta with strides of their own", "adamw", "layout", \
	    src(3)->nb[3] = 0) \
	ROW(adam_numbers, "six parameters", "adamw", "parameters", src(4)->ne[0] = 6; \
	    src(4)->nb[1] = src(4)->nb[2] = src(4)->nb[3] = 24) \
	ROW(adam_scattered, "scattered parameters", "adamw", "parameters", src(4)->nb[0] = 8) \
	ROW(adam_type, "gradients of half the size", "adamw", "type", \
	    src(1)->type = GGML_TYPE_F16) \
	ROW(sgd_numbers, "one parameter", "sgd", "parameters", src(2)->ne[0] = 1; \
	    src(2)->nb[1] = src(2)->nb[2] = src(2)->nb[3] = 4) \
	ROW(index_mask, "a mask for fewer keys", "lightning indexer", "mask", \
	    src(3)->ne[0]--; src(3)->nb[1] -= 2) \
	ROW(index_streams, "masks that do not repeat", "lightning indexer", "mask", \
	    src(3)->ne[3] = 3; src(3)->nb[3] = 0) \
	ROW(index_keys, "shorter keys", "lightning indexer", "keys", src(1)->ne[0] = 16) \
	ROW(index_weights, "fewer weights than heads", "lightning indexer", "weights", \
	    src(2)->ne[0] = 3) \
	ROW(index_result, "more scores than keys", "lightning indexer", "shape", \
	    grow(node(), 0)) \
	ROW(index_type, "keys of integers", "lightning indexer", "key type", \
	    src(1)->type = GGML_TYPE_I32) \
	ROW(comb_rounds, "no iterations", "hyper-connections, comb", "iterations", \
	    node()->op_params[1] = 0) \
	ROW(comb_forever, "two thousand million iterations", "hyper-connections, comb", \
	    "iterations", node()->op_params[1] = INT32_MAX) \
	ROW(comb_scale, "two scales", "hyper-connections, comb", "scale", src(1)->ne[0] = 2) \
	ROW(comb_base, "a shorter base", "hyper-connections, comb", "base", src(2)->ne[0] = 23) \
	ROW(comb_mixes, "mixes for five streams", "hyper-connections, comb", "mixes", \
	    grow(src(0), 0)) \
	ROW(comb_tokens, "more results than mixes", "hyper-connections, comb", "shape", \
	    grow(node(), 2)) \
	ROW(pre_weights, "weights of fewer streams", "hyper-connections, pre", "weights", \
	    src(1)->ne[0] = 3) \
	ROW(pre_gate, "a gate that is weights", "hyper-connections, pre", "gate", \
	    node()->op_params[1] = 1) \
	ROW(pre_no_gate, "weights that are a gate", "hyper-connections, gated", "weights", \
	    node()->op_params[1] = 0) \
	ROW(pre_kind, "a gate that does not exist", "hyper-connections, gated", "no such gate", \
	    node()->op_params[1] = 2) \
	ROW(pre_shape, "more tokens than there are", "hyper-connections, pre", "shape", \
	    grow(node(), 1)) \
	ROW(post_comb, "a comb for fewer tokens", "hyper-connections, post", "comb", \
	    src(3)->ne[2] = 4) \
	ROW(post_residual, "a residual for fewer tokens", "hyper-connections, post", "residual", \
	    src(1)->ne[2] = 4) \
	ROW(post_post, "fewer streams", "hyper-connections, post", "post", src(2)->ne[0] = 3) \
	ROW(store_index_dims, "rows without indices", "set no rows", "indices do not match", \
	    src(1)->ne[2] = 0) \
	ROW(conv_shape, "an empty kernel that makes more", "convolution with an empty kernel", \
	    "shape", grow(node(), 0)) \
	ROW(empty_input, "an image that is empty", "convolution with an empty kernel", \
	    "source 1 is empty", src(1)->ne[0] = 0) \
	ROW(hadamard_bf16, "a Hadamard product with bf16", "hadamard product", "Hadamard", \
	    src(1)->type = GGML_TYPE_BF16) \
	ROW(mixed_floats, "two kinds of small floats", "mul mat, f16", "second factor", \
	    src(1)->type = GGML_TYPE_BF16)

TABLE
#undef ROW

static const struct row {
	const char *name;
	const char *of;
	void (*spoil)(void);
	const char *words;
} table[] = {
#define ROW(name, text, case_name, words, ...) { text, case_name, name, words },
	TABLE
#undef ROW
};

static struct ggml_context *build(const char *wanted)
{
	struct ggml_context *ctx;
	const char *name;
	unsigned int i;

	for (i = 0; ; i++) {
		ctx = context_make();
		if (!case_build(ctx, i, &name)) {
			printf("Bail out! no case \"%s\"\n", wanted);
			exit(1);
		}
		if (!strcmp(name, wanted))
			return ctx;
		ggml_free(ctx);
	}
}

int main(void)
{
	struct infini_backend *backend = backend_open("cpu0", 1);
	struct ggml_context *ctx;
	struct arena arena;
	char name[160];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ctx = build(table[i].of);
		program_make(&program, ctx);
		arena_make(&arena, program.arena_bytes + 4096);
		fill_leaves(&program, arena.base, 3);
		CHECK(program_try(backend, &program, &arena) == 0);
		table[i].spoil();
		last_message[0] = '\0';
		CHECK(program_try(backend, &program, &arena) == -EINVAL);
		CHECK(strstr(last_message, table[i].words));
		arena_free(&arena);
		program_free(&program);
		ggml_free(ctx);
		snprintf(name, sizeof(name), "%s: %s", table[i].of, table[i].name);
		row_done(name);
	}
	CHECK(infini_backend_ops.held_bytes(backend) == 0);
	row_done("nothing of them is kept");
	infini_backend_ops.close(backend);
	return tests_done();
}
