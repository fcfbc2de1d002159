// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One sound example, or more, of every operation that the backend runs.
 */
#include "program.h"

#include <math.h>
#include <string.h>

#define T(type, ...) \
	ggml_new_tensor(c, GGML_TYPE_##type, GGML_MAX_DIMS, (int64_t[GGML_MAX_DIMS]){ __VA_ARGS__ })
#define F(...)	T(F32, __VA_ARGS__)
#define H(...)	T(F16, __VA_ARGS__)
#define I(...)	T(I32, __VA_ARGS__)
#define L(...)	T(I64, __VA_ARGS__)

/* Four floats per row more than are used, so that rows have a stride of their own. */
static struct ggml_tensor *strided(struct ggml_context *c, int64_t ne0, int64_t ne1)
{
	struct ggml_tensor *t = F(ne0 + 4, ne1, 1, 1);

	return ggml_view_2d(c, t, ne0, ne1, t->nb[1], 0);
}

/* Its constructor is deprecated, but older clients still send it. */
static struct ggml_tensor *add1(struct ggml_context *c)
{
	struct ggml_tensor *t = ggml_add(c, F(5, 4, 1, 1), F(1, 1, 1, 1));

	t->op = GGML_OP_ADD1;
	return t;
}

static struct ggml_tensor *rope(struct ggml_context *c, int mode, int dims, bool freqs)
{
	struct ggml_tensor *pos = I(mode & GGML_ROPE_TYPE_MROPE ? 20 : 5, 1, 1, 1);
	int sections[4] = { 4, 2, 2, 0 };

	if (mode & GGML_ROPE_TYPE_MROPE)
		return ggml_rope_multi(c, F(16, 3, 5, 1), pos, NULL, dims, sections, mode, 512,
				       10000, 1, 0, 1, 32, 1);
	return ggml_rope_ext(c, F(16, 3, 5, 1), pos, freqs ? F(dims / 2, 1, 1, 1) : NULL, dims,
			     mode, 512, 10000, 1, 0, 1, 32, 1);
}

static struct ggml_tensor *attention(struct ggml_context *c, enum ggml_type type, int64_t queries,
				     int64_t keys, bool sinks)
{
	struct ggml_tensor *k = ggml_new_tensor_4d(c, type, 32, keys, 2, 1);
	struct ggml_tensor *v = ggml_new_tensor_4d(c, type, 32, keys, 2, 1);
	struct ggml_tensor *sink = sinks ? F(4, 1, 1, 1) : NULL, *t;

	t = ggml_flash_attn_ext(c, F(32, queries, 4, 1), k, v, H(keys, queries, 1, 1), 0.1f, 0, 0);
	ggml_flash_attn_ext_add_sinks(t, sink);
	return t;
}

static struct ggml_tensor *store(struct ggml_context *c, enum ggml_type type)
{
	return ggml_set_rows(c, ggml_new_tensor_2d(c, type, 64, 6), F(64, 2, 1, 1), L(2, 1, 1, 1));
}

static struct ggml_tensor *layer(struct ggml_context *c)
{
	struct ggml_tensor *x = F(64, 5, 1, 1), *n, *gate, *up;

	n = ggml_mul(c, ggml_rms_norm(c, x, 1e-5f), F(64, 1, 1, 1));
	gate = ggml_mul_mat(c, T(Q8_0, 64, 96, 1, 1), n);
	up = ggml_mul_mat(c, T(Q4_0, 64, 96, 1, 1), n);
	n = ggml_mul_mat(c, H(96, 64, 1, 1), ggml_swiglu_split(c, gate, up));
	return ggml_add(c, n, x);
}

static struct ggml_tensor *experts(struct ggml_context *c)
{
	struct ggml_tensor *best = ggml_argsort_top_k(c, F(8, 3, 1, 1), 2);

	return ggml_mul_mat_id(c, T(Q4_0, 32, 16, 8, 1), F(32, 2, 3, 1), best);
}

static struct ggml_tensor *scan(struct ggml_context *c)
{
	return ggml_ssm_scan(c, F(16, 4, 6, 2), F(4, 6, 3, 2), F(6, 3, 2, 1), F(1, 6, 1, 1),
			     F(16, 2, 3, 2), F(16, 2, 3, 2), I(2, 1, 1, 1), 1);
}

static struct ggml_tensor *delta_net(struct ggml_context *c)
{
	return ggml_gated_delta_net(c, F(8, 2, 3, 2), F(8, 2, 3, 2), F(8, 4, 3, 2), F(1, 4, 3, 2),
				    F(1, 4, 3, 2), F(8, 8, 4, 2), 1);
}

static struct ggml_tensor *wkv6(struct ggml_context *c)
{
	return ggml_rwkv_wkv6(c, F(8, 3, 4, 1), F(8, 3, 4, 1), F(8, 3, 4, 1), F(8, 3, 1, 1),
			      F(8, 3, 4, 1), F(8 * 8 * 3, 2, 1, 1));
}

static struct ggml_tensor *wkv7(struct ggml_context *c)
{
	return ggml_rwkv_wkv7(c, F(64, 3, 4, 1), F(64, 3, 4, 1), F(64, 3, 4, 1), F(64, 3, 4, 1),
			      F(64, 3, 4, 1), F(64, 3, 4, 1), F(64 * 64 * 3, 2, 1, 1));
}

static struct ggml_tensor *gated(struct ggml_context *c)
{
	return ggml_gated_linear_attn(c, F(8, 3, 4, 1), F(8, 3, 4, 1), F(8, 3, 4, 1),
				      F(8, 3, 4, 1), F(8 * 8 * 3, 2, 1, 1), 0.5f);
}

/* Rows of no number: nothing is stored. */
static struct ggml_tensor *store_nothing(struct ggml_context *c)
{
	return ggml_set_rows(c, F(33, 5, 2, 3), F(33, 0, 2, 3), L(0, 1, 3, 1));
}

static struct ggml_tensor *hadamard(struct ggml_context *c)
{
	struct ggml_tensor *t = ggml_mul_mat(c, F(64, 64, 1, 1), H(64, 3, 2, 1));

	t->op_params[1] = GGML_HINT_SRC0_IS_HADAMARD;
	return t;
}

static struct ggml_tensor *indexer(struct ggml_context *c, enum ggml_type type)
{
	return ggml_lightning_indexer(c, F(32, 4, 3, 2), ggml_new_tensor_4d(c, type, 32, 1, 9, 2),
				      F(4, 3, 1, 2), H(9, 3, 1, 1));
}

static struct ggml_tensor *hyper_post(struct ggml_context *c, bool comb)
{
	return ggml_dsv4_hc_post(c, F(9, 5, 1, 1), F(9, 4, 5, 1), F(4, 5, 1, 1),
				 comb ? F(4, 4, 5, 1) : NULL);
}

static struct ggml_tensor *adamw(struct ggml_context *c)
{
	struct ggml_tensor *w = F(9, 4, 3, 2);

	ggml_set_param(w);
	return ggml_opt_step_adamw(c, w, F(9, 4, 3, 2), F(9, 4, 3, 2), F(9, 4, 3, 2),
				   F(7, 1, 1, 1));
}

static struct ggml_tensor *sgd(struct ggml_context *c)
{
	struct ggml_tensor *w = F(9, 4, 3, 2);

	ggml_set_param(w);
	return ggml_opt_step_sgd(c, w, F(9, 4, 3, 2), F(2, 1, 1, 1));
}

/* A step of training: two sources and a result of one shape. */
static struct ggml_tensor *back(struct ggml_context *c, enum ggml_op op)
{
	struct ggml_tensor *t = ggml_mul(c, F(9, 4, 3, 1), F(9, 4, 3, 1));
	float one = 1;

	t->op = op;
	memcpy(t->op_params, &one, sizeof(one));
	return t;
}

#define CASES \
	CASE("add, broadcast", ggml_add(c, F(5, 4, 3, 2), F(5, 1, 3, 1))) \
	CASE("add in place, f16", ggml_add_inplace(c, H(8, 4, 1, 1), F(8, 4, 1, 1))) \
	CASE("add, quantised", ggml_add(c, T(Q4_0, 64, 3, 1, 1), F(64, 3, 1, 1))) \
	CASE("sub", ggml_sub(c, F(5, 4, 3, 2), F(5, 4, 3, 2))) \
	CASE("mul, scattered", ggml_mul(c, F(4, 5, 1, 1), ggml_transpose(c, F(5, 4, 1, 1)))) \
	CASE("div", ggml_div(c, F(5, 4, 3, 2), F(1, 1, 1, 1))) \
	CASE("add by id", ggml_add_id(c, F(5, 2, 3, 1), F(5, 4, 1, 1), I(2, 3, 1, 1))) \
	CASE("add a scalar", add1(c)) \
	CASE("accumulate", ggml_acc(c, F(8, 4, 1, 1), F(3, 2, 1, 1), 32, 128, 128, 36)) \
	CASE("set", ggml_set(c, F(8, 4, 1, 1), F(3, 2, 1, 1), 32, 128, 128, 36)) \
	CASE("dup", ggml_dup(c, F(5, 4, 1, 1))) \
	CASE("cont of a transpose", ggml_cont(c, ggml_transpose(c, F(5, 4, 3, 1)))) \
	CASE("cont to another shape", \
	     ggml_cont_2d(c, ggml_permute(c, F(4, 5, 3, 1), 0, 2, 1, 3), 12, 5)) \
	CASE("copy to f16", ggml_cpy(c, F(8, 4, 1, 1), H(8, 4, 1, 1))) \
	CASE("copy to blocks", ggml_cpy(c, F(64, 4, 1, 1), T(Q8_0, 64, 4, 1, 1))) \
	CASE("copy from blocks", ggml_cpy(c, T(Q4_0, 64, 4, 1, 1), F(64, 4, 1, 1))) \
	CASE("copy to integers", ggml_cpy(c, F(8, 4, 1, 1), I(8, 4, 1, 1))) \
	CASE("cast", ggml_cast(c, F(8, 4, 1, 1), GGML_TYPE_F16)) \
	CASE("copy into a view", ggml_cpy(c, F(6, 4, 1, 1), strided(c, 6, 4))) \
	CASE("reshape, permute, view", \
	     ggml_cont(c, ggml_permute(c, ggml_reshape_3d(c, F(12, 5, 1, 1), 4, 3, 5), 1, 2, \
		0, 3))) \
	CASE("concat", ggml_concat(c, F(5, 4, 3, 2), F(5, 2, 3, 2), 1)) \
	CASE("concat of blocks", ggml_concat(c, T(Q8_0, 32, 4, 1, 1), T(Q8_0, 64, 4, 1, 1), 0)) \
	CASE("repeat", ggml_repeat(c, F(5, 1, 3, 1), F(10, 4, 3, 2))) \
	CASE("sqr", ggml_sqr(c, F(5, 4, 3, 2))) \
	CASE("sqrt", ggml_sqrt(c, H(5, 4, 3, 2))) \
	CASE("log", ggml_log(c, F(5, 4, 3, 2))) \
	CASE("sin", ggml_sin(c, F(5, 4, 3, 2))) \
	CASE("cos", ggml_cos(c, F(5, 4, 3, 2))) \
	CASE("silu", ggml_silu(c, F(5, 4, 3, 2))) \
	CASE("silu of a view", ggml_silu(c, strided(c, 7, 5))) \
	CASE("gelu in place", ggml_gelu_inplace(c, H(5, 4, 3, 2))) \
	CASE("tanh", ggml_tanh(c, F(5, 4, 3, 2))) \
	CASE("exp", ggml_exp(c, F(5, 4, 3, 2))) \
	CASE("xielu", ggml_xielu(c, F(5, 4, 3, 2), 1, 1, 1, 1e-3f)) \
	CASE("leaky relu", ggml_leaky_relu(c, F(5, 4, 3, 2), 0.1f, false)) \
	CASE("swiglu", ggml_swiglu(c, F(10, 4, 3, 2))) \
	CASE("swiglu of odd rows", ggml_swiglu(c, F(5, 4, 3, 2))) \
	CASE("geglu, split", ggml_geglu_split(c, F(10, 4, 3, 2), F(10, 4, 3, 2))) \
	CASE("norm", ggml_norm(c, F(5, 4, 3, 2), 1e-5f)) \
	CASE("rms norm of a view", ggml_rms_norm(c, strided(c, 7, 5), 1e-5f)) \
	CASE("rms norm and gain", \
	     ggml_mul(c, ggml_rms_norm(c, F(64, 5, 1, 1), 1e-5f), F(64, 1, 1, 1))) \
	CASE("group norm", ggml_group_norm(c, F(5, 4, 6, 1), 3, 1e-5f)) \
	CASE("l2 norm", ggml_l2_norm(c, F(5, 4, 3, 2), 1e-5f)) \
	CASE("scale", ggml_scale(c, F(5, 4, 3, 2), 0.5f)) \
	CASE("clamp", ggml_clamp(c, F(5, 4, 3, 2), -0.5f, 0.5f)) \
	CASE("sum", ggml_sum(c, F(5, 4, 3, 2))) \
	CASE("sum of rows", ggml_sum_rows(c, F(5, 4, 3, 2))) \
	CASE("mean", ggml_mean(c, F(5, 4, 3, 2))) \
	CASE("cumulative sum", ggml_cumsum(c, F(5, 4, 3, 2))) \
	CASE("argmax", ggml_argmax(c, F(5, 4, 1, 1))) \
	CASE("count equal", ggml_count_equal(c, I(5, 4, 1, 1), I(5, 4, 1, 1))) \
	CASE("diag", ggml_diag(c, F(5, 1, 3, 2))) \
	CASE("diag mask", ggml_diag_mask_inf(c, F(5, 4, 3, 2), 2)) \
	CASE("triangle", ggml_tri(c, F(5, 5, 3, 2), GGML_TRI_TYPE_LOWER)) \
	CASE("fill", ggml_fill(c, F(5, 4, 3, 2), 2)) \
	CASE("arange", ggml_arange(c, 0, 7, 1)) \
	CASE("mul mat, f32", ggml_mul_mat(c, F(17, 5, 2, 1), F(17, 3, 4, 2))) \
	CASE("mul mat, f16", ggml_mul_mat(c, H(16, 5, 1, 1), H(16, 3, 1, 1))) \
	CASE("mul mat, q4_0", ggml_mul_mat(c, T(Q4_0, 64, 16, 1, 1), F(64, 3, 1, 1))) \
	CASE("mul mat, q4_K", ggml_mul_mat(c, T(Q4_K, 256, 16, 1, 1), F(256, 3, 1, 1))) \
	CASE("mul mat, q6_K", ggml_mul_mat(c, T(Q6_K, 256, 5, 1, 1), F(256, 1, 1, 1))) \
	CASE("experts", experts(c)) \
	CASE("outer product", ggml_out_prod(c, F(5, 3, 1, 1), F(4, 3, 2, 1))) \
	CASE("outer product, q4_0", ggml_out_prod(c, T(Q4_0, 32, 3, 2, 1), F(4, 3, 2, 1))) \
	CASE("scale, bf16", ggml_scale(c, T(BF16, 5, 4, 3, 2), 0.5f)) \
	CASE("get rows", ggml_get_rows(c, F(5, 4, 3, 1), I(2, 3, 1, 1))) \
	CASE("get rows, q8_0", ggml_get_rows(c, T(Q8_0, 64, 4, 1, 1), I(3, 1, 1, 1))) \
	CASE("set rows, f16", store(c, GGML_TYPE_F16)) \
	CASE("set rows, q8_0", store(c, GGML_TYPE_Q8_0)) \
	CASE("soft max", ggml_soft_max(c, F(5, 4, 3, 2))) \
	CASE("soft max with mask", ggml_soft_max_ext(c, F(5, 4, 3, 2), H(5, 4, 1, 1), 0.5f, 8)) \
	CASE("rope", rope(c, GGML_ROPE_TYPE_NORMAL, 16, false)) \
	CASE("rope, neox, partial", rope(c, GGML_ROPE_TYPE_NEOX, 8, true)) \
	CASE("rope, sections", rope(c, GGML_ROPE_TYPE_MROPE, 16, false)) \
	CASE("attention, one query", attention(c, GGML_TYPE_F16, 1, 600, true)) \
	CASE("attention, many queries", attention(c, GGML_TYPE_F16, 70, 64, false)) \
	CASE("attention, q8_0", attention(c, GGML_TYPE_Q8_0, 3, 64, false)) \
	CASE("argsort", ggml_argsort(c, F(9, 4, 1, 1), GGML_SORT_ORDER_DESC)) \
	CASE("top k", ggml_top_k(c, F(9, 4, 1, 1), 3)) \
	CASE("im2col", \
	     ggml_im2col(c, H(3, 3, 2, 4), F(8, 8, 2, 1), 1, 1, 1, 1, 1, 1, true, GGML_TYPE_F16)) \
	CASE("im2col, 1d", \
	     ggml_im2col(c, H(3, 2, 4, 1), F(8, 2, 1, 1), 2, 0, 1, 0, 1, 0, false, GGML_TYPE_F16)) \
	CASE("conv transpose 1d", \
	     ggml_conv_transpose_1d(c, F(3, 4, 2, 1), F(6, 2, 1, 1), 2, 0, 1)) \
	CASE("pool 1d", ggml_pool_1d(c, F(9, 4, 1, 1), GGML_OP_POOL_AVG, 3, 3, 0)) \
	CASE("pool 2d", ggml_pool_2d(c, F(9, 8, 2, 1), GGML_OP_POOL_MAX, 3, 3, 2, 2, 1, 1)) \
	CASE("upscale", ggml_upscale(c, F(4, 3, 2, 1), 2, GGML_SCALE_MODE_NEAREST)) \
	CASE("interpolate", \
	     ggml_interpolate(c, F(4, 3, 2, 1), 7, 5, 2, 1, GGML_SCALE_MODE_BILINEAR)) \
	CASE("pad", ggml_pad(c, F(4, 3, 2, 1), 1, 2, 1, 0)) \
	CASE("pad by reflection", ggml_pad_reflect_1d(c, F(6, 3, 2, 1), 2, 3)) \
	CASE("roll", ggml_roll(c, F(6, 3, 2, 1), 2, -1, 1, 0)) \
	CASE("timestep embedding", ggml_timestep_embedding(c, F(3, 1, 1, 1), 9, 1000)) \
	CASE("state space convolution", ggml_ssm_conv(c, F(6, 5, 2, 1), F(4, 5, 1, 1))) \
	CASE("state space scan", scan(c)) \
	CASE("gated delta net", delta_net(c)) \
	CASE("silu, bf16", ggml_silu(c, T(BF16, 5, 4, 3, 2))) \
	CASE("norm of scattered rows", ggml_norm(c, ggml_transpose(c, F(5, 4, 1, 1)), 1e-5f)) \
	CASE("convolution", \
	     ggml_conv_2d_direct(c, F(3, 3, 2, 4), F(8, 7, 2, 2), 1, 1, 1, 1, 1, 1)) \
	CASE("convolution of three dimensions", \
	     ggml_conv_3d_direct(c, H(2, 2, 2, 6), F(5, 4, 3, 2), 1, 1, 1, 0, 0, 0, 1, 1, 1, \
		2, 1, 3)) \
	CASE("convolution of each channel", \
	     ggml_conv_2d_dw_direct(c, F(3, 3, 1, 4), F(8, 7, 4, 2), 1, 1, 1, 1, 1, 1)) \
	CASE("convolution, transposed", \
	     ggml_conv_transpose_2d_p0(c, H(2, 2, 3, 4), F(5, 4, 4, 1), 2)) \
	CASE("im2col, 3d", \
	     ggml_im2col_3d(c, H(2, 2, 2, 6), F(5, 4, 3, 2), 2, 1, 1, 1, 0, 0, 0, 1, 1, 1, \
		GGML_TYPE_F16)) \
	CASE("rwkv 6", wkv6(c)) \
	CASE("rwkv 7", wkv7(c)) \
	CASE("gated linear attention", gated(c)) \
	CASE("triangular system", \
	     ggml_solve_tri(c, F(5, 5, 2, 1), F(3, 5, 2, 1), true, true, false)) \
	CASE("repeat, back", ggml_repeat_back(c, F(10, 4, 3, 2), F(5, 4, 3, 1))) \
	CASE("silu, back", back(c, GGML_OP_SILU_BACK)) \
	CASE("soft max, back", back(c, GGML_OP_SOFT_MAX_BACK)) \
	CASE("rms norm, back", back(c, GGML_OP_RMS_NORM_BACK)) \
	CASE("clamp of a view", ggml_clamp(c, strided(c, 7, 5), -0.5f, 0.5f)) \
	CASE("mul mat, f32 with bf16", ggml_mul_mat(c, F(17, 5, 2, 1), T(BF16, 17, 3, 4, 2))) \
	CASE("hadamard product", hadamard(c)) \
	CASE("set no rows", store_nothing(c)) \
	CASE("col2im, 1d", ggml_col2im_1d(c, F(12, 7, 1, 1), 2, 3, 1)) \
	CASE("col2im, 1d, f16", ggml_col2im_1d(c, H(15, 11, 1, 1), 2, 5, 0)) \
	CASE("convolution with an empty kernel", \
	     ggml_conv_3d_direct(c, F(1, 0, 1, 1), F(2, 2, 2, 1), 1, 1, 1, 0, 0, 0, 1, 1, 1, \
		1, 1, 1)) \
	CASE("lightning indexer", indexer(c, GGML_TYPE_F32)) \
	CASE("lightning indexer, q8_0", indexer(c, GGML_TYPE_Q8_0)) \
	CASE("hyper-connections, comb", \
	     ggml_dsv4_hc_comb(c, F(24, 5, 1, 1), F(3, 1, 1, 1), F(24, 1, 1, 1), 1e-6f, 4)) \
	CASE("hyper-connections, pre", ggml_dsv4_hc_pre(c, F(9, 4, 5, 1), F(4, 5, 1, 1))) \
	CASE("hyper-connections, gated", \
	     ggml_dsv4_hc_pre_gated(c, F(9, 4, 5, 1), F(9, 4, 5, 1), 0.25f)) \
	CASE("hyper-connections, post", hyper_post(c, true)) \
	CASE("hyper-connections, post without comb", hyper_post(c, false)) \
	CASE("get rows, back", \
	     ggml_get_rows_back(c, F(9, 4, 1, 1), I(3, 1, 1, 1), F(9, 5, 1, 1))) \
	CASE("get rows, back, f16", \
	     ggml_get_rows_back(c, H(9, 4, 1, 1), I(4, 1, 1, 1), F(9, 5, 1, 1))) \
	CASE("cross entropy", ggml_cross_entropy_loss(c, F(9, 4, 3, 2), F(9, 4, 3, 2))) \
	CASE("cross entropy, back", \
	     ggml_cross_entropy_loss_back(c, F(1, 1, 1, 1), F(9, 4, 3, 2), F(9, 4, 3, 2))) \
	CASE("adamw", adamw(c)) \
	CASE("sgd", sgd(c)) \
	CASE("feed forward", layer(c))

struct ggml_tensor *case_build(struct ggml_context *c, unsigned int i, const char **name)
{
	unsigned int at = 0;

#define CASE(text, expr) if (at++ == i) { *name = text; return expr; }
	CASES
#undef CASE
	return NULL;
}
