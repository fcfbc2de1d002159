// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that do not hold up, each with what it is refused for.
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sound program that every row breaks in one place; tensors are used by these names. */
enum { X, W, BIAS, IDS, POS, CACHE, SLOTS, Y, SUM, ROWS, PROB, HALF, TURN, STORE, NR };

static struct program program;

static struct infini_ggml_tensor *at(uint32_t index)
{
	return program_tensor(&program, index);
}

static struct infini_ggml_program *head(void)
{
	return program_head(&program);
}

static void build(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *x = ggml_new_tensor_2d(c, GGML_TYPE_F32, 64, 4);
	struct ggml_tensor *w = ggml_new_tensor_2d(c, GGML_TYPE_Q8_0, 64, 32);
	struct ggml_tensor *bias = ggml_new_tensor_1d(c, GGML_TYPE_F32, 32);
	struct ggml_tensor *ids = ggml_new_tensor_1d(c, GGML_TYPE_I32, 3);
	struct ggml_tensor *pos = ggml_new_tensor_1d(c, GGML_TYPE_I32, 4);
	struct ggml_tensor *cache = ggml_new_tensor_2d(c, GGML_TYPE_F16, 32, 9);
	struct ggml_tensor *slots = ggml_new_tensor_1d(c, GGML_TYPE_I64, 4);
	struct ggml_tensor *y = ggml_mul_mat(c, w, x), *sum = ggml_add(c, y, bias), *half;

	ggml_soft_max(c, ggml_get_rows(c, sum, ids));
	half = ggml_view_3d(c, sum, 16, 2, 4, sum->nb[0] * 16, sum->nb[1], 0);
	ggml_rope(c, half, pos, 16, GGML_ROPE_TYPE_NEOX);
	ggml_set_rows(c, cache, sum, slots);
	program_make(&program, c);
	ggml_free(c);
}

#define ROW(name, text, error, words, ...) static void name(void) { __VA_ARGS__; }
#define ROWS_OF_TABLE \
	/* the header */ \
	ROW(short_head, "shorter than a header", EINVAL, "no program", program.bytes = 16) \
	ROW(magic, "another magic", EINVAL, "magic", head()->magic++) \
	ROW(version, "another version", EINVAL, "version 2", head()->version++) \
	ROW(ops, "another ggml's operations", EINVAL, "another ggml", head()->ops--) \
	ROW(types, "another ggml's types", EINVAL, "another ggml", head()->types++) \
	ROW(head_pad, "padding in the header", EINVAL, "padding", head()->pad = 1) \
	ROW(none, "no tensors", EINVAL, "0 tensors", head()->nr_tensors = 0) \
	ROW(many, "more tensors than may be", EINVAL, "tensors, 1..", head()->nr_tensors = 65537) \
	ROW(huge, "a count that overflows a size", EINVAL, "tensors, 1..", \
	    head()->nr_tensors = ~0U) \
	ROW(nodes, "more nodes than tensors", EINVAL, "nodes among", head()->nr_nodes = NR + 1) \
	ROW(bindings, "more bindings than may be", EINVAL, "exceed", \
	    head()->nr_bindings = 1 << 20) \
	ROW(cut, "cut short", EINVAL, "the counts say", program.bytes -= 4) \
	ROW(longer, "one tensor less than there are", EINVAL, "the counts say", \
	    head()->nr_tensors--) \
	/* nodes */ \
	ROW(node_range, "a node that is no tensor", EINVAL, "is tensor 99", \
	    program_nodes(&program)[0] = 99) \
	ROW(node_twice, "a node twice", EINVAL, "twice", program_nodes(&program)[1] = Y) \
	ROW(node_order, "a node before its source", EINVAL, "computed later", \
	    program_nodes(&program)[0] = SUM; program_nodes(&program)[1] = Y) \
	ROW(no_node, "an operation that is no node", EINVAL, "is no node", \
	    program_nodes(&program)[6] = CACHE) \
	/* one tensor */ \
	ROW(type, "a type that does not exist", EINVAL, "no such type", \
	    at(X)->type = GGML_TYPE_COUNT) \
	ROW(gone_type, "a type that was removed", EINVAL, "no such type", at(X)->type = 4) \
	ROW(op, "an operation that does not exist", EINVAL, "no such operation", \
	    at(Y)->op = GGML_OP_COUNT) \
	ROW(custom, "a custom operation, which is a pointer", EOPNOTSUPP, "not run here", \
	    at(Y)->op = GGML_OP_CUSTOM) \
	ROW(flags, "unknown flags", EINVAL, "flags", at(Y)->flags |= 0x100) \
	ROW(tensor_pad, "padding in a tensor", EINVAL, "flags", at(Y)->pad = 1) \
	ROW(big_dim, "a dimension beyond int", EINVAL, "exceeds", at(X)->ne[1] = 1ULL << 31) \
	ROW(negative, "a negative dimension", EINVAL, "exceeds", at(X)->ne[1] = ~0ULL) \
	ROW(rows_overflow, "rows beyond int", EINVAL, "rows", \
	    at(X)->ne[1] = at(X)->ne[2] = 1 << 20) \
	ROW(part_block, "part of a block", EINVAL, "multiple of blocks", at(W)->ne[0] = 33) \
	ROW(block_stride, "blocks with gaps", EINVAL, "stand", at(W)->nb[0] = 68) \
	ROW(split, "a stride that splits elements", EINVAL, "splits", at(X)->nb[1] = 255) \
	ROW(stride_overflow, "strides that overflow", EINVAL, "span", at(X)->nb[1] = 1ULL << 62) \
	ROW(stride_overflow2, "strides that add up to an overflow", EINVAL, "span", \
	    at(X)->ne[2] = 2; at(X)->nb[2] = 0x7ffffffffffffff0ULL; at(X)->nb[1] = 256) \
	/* places */ \
	ROW(binding, "a binding that is not there", EINVAL, "binding 1 of 1", at(X)->binding = 1) \
	ROW(no_binding, "no binding", EINVAL, "binding", at(X)->binding = INFINI_GGML_NONE) \
	ROW(offset, "an offset that overflows", EINVAL, "offset", at(X)->offset = ~0ULL - 7) \
	ROW(odd_offset, "an offset that splits elements", EINVAL, "splits", at(X)->offset += 2) \
	ROW(outside, "a tensor behind the end of the buffer", EINVAL, "has", \
	    at(X)->offset = 1 << 20) \
	/* views */ \
	ROW(view_later, "a view of a later tensor", EINVAL, "later", at(HALF)->view_src = TURN) \
	ROW(view_self, "a view of itself", EINVAL, "later", at(HALF)->view_src = HALF) \
	ROW(view_of_view, "a view of a view", EINVAL, "view of a view", \
	    at(TURN)->view_src = HALF; at(TURN)->offset = at(HALF)->offset) \
	ROW(view_out, "a view that leaves its tensor", EINVAL, "leaves", \
	    at(HALF)->view_offs += 512; at(HALF)->offset += 512) \
	ROW(view_elsewhere, "a view that lies elsewhere", EINVAL, "leaves", \
	    at(HALF)->offset += 64) \
	ROW(view_nothing, "an offset into no tensor", EINVAL, "nothing", at(X)->view_offs = 64) \
	ROW(view_overflow, "a view offset that overflows", EINVAL, "leaves", \
	    at(HALF)->view_offs = ~0ULL) \
	/* sources */ \
	ROW(src_later, "a source from the future", EINVAL, "later", at(Y)->src[0] = SUM) \
	ROW(src_self, "its own source", EINVAL, "later", at(SUM)->src[0] = SUM) \
	ROW(src_range, "a source that is no tensor", EINVAL, "later", at(Y)->src[1] = 5000) \
	ROW(src_lacks, "a source is missing", EINVAL, "lacks source 1", \
	    at(Y)->src[1] = INFINI_GGML_NONE) \
	ROW(src_more, "a source too many", EINVAL, "has a source 2", at(Y)->src[2] = X) \
	ROW(leaf_src, "a leaf with a source", EINVAL, "is no node", at(BIAS)->src[0] = X) \
	ROW(src_empty, "an empty source", EINVAL, "is empty", at(BIAS)->ne[0] = 0) \
	/* operations */ \
	ROW(mm_shape, "a product of other lengths", EINVAL, "row lengths", at(X)->ne[0] = 32) \
	ROW(mm_result, "a product of another shape", EINVAL, "shape", at(Y)->ne[1] = 3; \
	    at(Y)->nb[2] = at(Y)->nb[3] = 384) \
	ROW(mm_type, "a product with integers", EINVAL, "type of the matrix", \
	    at(W)->type = GGML_TYPE_I32; at(W)->nb[0] = 4) \
	ROW(mm_factor, "a product with quantised data on the right", EINVAL, "second factor", \
	    at(X)->type = GGML_TYPE_Q8_0; at(X)->nb[0] = 34; at(X)->nb[1] = 68) \
	ROW(mm_hint, "an unknown hint", EINVAL, "hint", at(Y)->op_params[1] = 7) \
	ROW(mm_prec, "an unknown precision", EINVAL, "precision", at(Y)->op_params[0] = 11) \
	ROW(mm_transposed, "a transposed matrix", EINVAL, "transposed", \
	    at(W)->type = GGML_TYPE_F32; at(W)->nb[0] = 4; at(W)->nb[1] = 0) \
	ROW(add_repeat, "an addend that does not repeat", EINVAL, "repeated", \
	    at(BIAS)->ne[0] = 31) \
	ROW(add_types, "an addition of mixed types", EINVAL, "combination", \
	    at(BIAS)->type = GGML_TYPE_I32) \
	ROW(scale_gaps, "a result with gaps in its rows", EINVAL, "gaps", \
	    at(PROB)->op = GGML_OP_SCALE; at(PROB)->nb[0] = 8) \
	ROW(rows_type, "indices that are floats", EINVAL, "i32", at(IDS)->type = GGML_TYPE_F32) \
	ROW(rows_shape, "more rows than indices", EINVAL, "shape", at(ROWS)->ne[1] = 4) \
	ROW(rows_self, "rows written over their indices", EINVAL, "overwrites its own", \
	    at(ROWS)->offset = at(IDS)->offset) \
	ROW(soft_bias, "a bias without a mask", EINVAL, "mask", \
	    at(PROB)->op_params[1] = 0x41000000) \
	ROW(soft_nan, "a bias that is no number", EINVAL, "mask", \
	    at(PROB)->op_params[1] = 0x7fc00000) \
	ROW(rope_dims, "more rotated dimensions than there are", EINVAL, "rotated", \
	    at(TURN)->op_params[1] = 18) \
	ROW(rope_odd, "an odd number of rotated dimensions", EINVAL, "rotated", \
	    at(TURN)->op_params[1] = 3) \
	ROW(rope_first, "rotation from a negative place", EINVAL, "rotated", \
	    at(TURN)->op_params[15] = -2) \
	ROW(rope_overflow, "rotation that overflows", EINVAL, "rotated", \
	    at(TURN)->op_params[15] = 0x7ffffffe) \
	ROW(rope_mode, "a mode that does not exist", EINVAL, "mode", at(TURN)->op_params[2] = 3) \
	ROW(rope_sections, "a mode that needs four times the positions", EINVAL, "positions", \
	    at(TURN)->op_params[2] = 8) \
	ROW(rope_pos, "fewer positions than tokens", EINVAL, "positions", at(POS)->ne[0] = 3) \
	ROW(store_type, "slots that are floats", EINVAL, "integers", \
	    at(SLOTS)->type = GGML_TYPE_F64) \
	ROW(store_rows, "fewer slots than rows", EINVAL, "do not match", at(SLOTS)->ne[0] = 3) \
	ROW(store_unlike, "a result unlike its destination", EINVAL, "destination", \
	    at(STORE)->ne[1] = 8) \
	ROW(store_width, "rows wider than the destination", EINVAL, "shape", at(SUM)->ne[0] = 32, \
	    at(CACHE)->ne[0] = 16; at(STORE)->ne[0] = 16) \
	ROW(unary_kind, "a function that does not exist", EINVAL, "no such function", \
	    at(PROB)->op = GGML_OP_UNARY; at(PROB)->op_params[0] = 99) \
	ROW(glu_kind, "a gate that does not exist", EINVAL, "no such function", \
	    at(PROB)->op = GGML_OP_GLU; at(PROB)->op_params[0] = -1) \
	ROW(norm_eps, "a negative epsilon", EINVAL, "eps", \
	    at(PROB)->op = GGML_OP_RMS_NORM; at(PROB)->op_params[0] = (int32_t)0xbf800000) \
	ROW(groups, "no groups", EINVAL, "groups", \
	    at(PROB)->op = GGML_OP_GROUP_NORM; at(PROB)->op_params[0] = 0) \
	ROW(mask_columns, "a negative number of columns", EINVAL, "columns", \
	    at(PROB)->op = GGML_OP_DIAG_MASK_INF; at(PROB)->op_params[0] = -1) \
	ROW(concat_dim, "a dimension that does not exist", EINVAL, "dimension", \
	    at(SUM)->op = GGML_OP_CONCAT; at(SUM)->op_params[0] = 4) \
	ROW(acc_reach, "an overlay that leaves the result", EINVAL, "leaves", \
	    at(SUM)->op = GGML_OP_ACC; at(SUM)->op_params[0] = 128; at(SUM)->op_params[3] = 400) \
	ROW(acc_negative, "an overlay at a negative place", EINVAL, "offset", \
	    at(SUM)->op = GGML_OP_ACC; at(SUM)->op_params[3] = -4) \
	ROW(sort_type, "a sort into floats", EINVAL, "type", at(PROB)->op = GGML_OP_ARGSORT) \
	ROW(sort_order, "an order that does not exist", EINVAL, "order", \
	    at(PROB)->op = GGML_OP_ARGSORT; \
	    at(PROB)->type = GGML_TYPE_I32; at(PROB)->op_params[0] = 2) \
	ROW(pad_negative, "negative padding", EINVAL, "padding", at(PROB)->op = GGML_OP_PAD; \
	    memset(at(PROB)->op_params, 0, 64); at(PROB)->op_params[2] = -1) \
	ROW(roll_far, "a shift beyond the row", EINVAL, "shift", at(PROB)->op = GGML_OP_ROLL; \
	    memset(at(PROB)->op_params, 0, 64); at(PROB)->op_params[0] = 32) \
	ROW(roll_least, "the smallest shift there is", EINVAL, "shift", \
	    at(PROB)->op = GGML_OP_ROLL; \
	    memset(at(PROB)->op_params, 0, 64); at(PROB)->op_params[0] = INT32_MIN)

ROWS_OF_TABLE
#undef ROW

static const struct row {
	const char *name;
	void (*spoil)(void);
	int error;
	const char *words;
} table[] = {
#define ROW(name, text, error, words, ...) { text, name, error, words },
	ROWS_OF_TABLE
#undef ROW
};

int main(void)
{
	struct infini_backend *backend = backend_open("cpu0", 1);
	struct arena arena;
	size_t i, bytes;
	int ret;

	for (i = 0; i <= sizeof(table) / sizeof(table[0]); i++) {
		build();
		bytes = program.bytes;
		arena_make(&arena, program.arena_bytes);
		fill_leaves(&program, arena.base, 1);
		last_message[0] = '\0';
		if (i)
			table[i - 1].spoil();
		ret = program_try(backend, &program, &arena);
		if (i) {
			CHECK(ret == -table[i - 1].error);
			CHECK(strstr(last_message, table[i - 1].words));
		} else {
			CHECK(ret == 0 && head()->nr_tensors == NR);
		}
		program.bytes = bytes;
		arena_free(&arena);
		program_free(&program);
		row_done(i ? table[i - 1].name : "the sound program itself runs");
	}
	CHECK(infini_backend_ops.held_bytes(backend) == 0);
	row_done("nothing of them is kept");
	infini_backend_ops.close(backend);
	return tests_done();
}
