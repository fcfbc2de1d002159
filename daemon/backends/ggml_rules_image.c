// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules for convolutions, pooling, padding and scaling.
 */
#include <stdlib.h>

#include "ggml_rules.h"

#define DEMAND INFINI_GGML_DEMAND

/* Scratch that ggml gives a direct convolution, GGML_IM2COL_WORK_SIZE: a patch has to fit. */
#define PATCH_BYTES	(16 << 20)

static bool is_f32(const struct ggml_tensor *t)
{
	return infini_ggml_f32(t);
}

static bool is_rows(const struct ggml_tensor *t)
{
	return infini_ggml_rows(t);
}

/* How many steps a window of @k takes over @n; 0 when the parameters make no sense. */
static int64_t conv_steps(int64_t n, int64_t k, int32_t stride, int32_t pad, int32_t dilation)
{
	int64_t steps;

	if (stride <= 0 || pad < 0 || dilation <= 0)
		return 0;
	/*
	 * All below 2^31: nothing can overflow. As ggml counts, a window that sticks out by less
	 * than a stride still takes a step; what sticks out is read as zeros.
	 */
	steps = (n + 2LL * pad - (int64_t)dilation * (k - 1) - 1) / stride + 1;
	return steps > 0 ? steps : 0;
}

static const char *check_im2col(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	const int32_t *p = t->op_params;
	int64_t ow = conv_steps(b->ne[0], a->ne[0], p[0], p[2], p[4]), oh;

	DEMAND((is_f32(b) && is_f32(t)) || (t->type == GGML_TYPE_F16 &&
					    (is_f32(b) || b->type == GGML_TYPE_F16)), "type");
	DEMAND(infini_ggml_packed(b) && infini_ggml_packed(t), "not contiguous");
	DEMAND(b->nb[3] <= INT32_MAX, "image is too large");
	DEMAND(ow > 0, "window");
	if (p[6] == 1) {
		oh = conv_steps(b->ne[1], a->ne[1], p[1], p[3], p[5]);
		DEMAND(oh > 0, "window");
		DEMAND(a->ne[2] == b->ne[2], "channels differ");
		DEMAND(infini_ggml_shape(t, a->ne[0] * a->ne[1] * a->ne[2], ow, oh, b->ne[3]),
		       "shape");
		return NULL;
	}
	DEMAND(p[6] == 0 && a->ne[1] == b->ne[1] && b->ne[3] == 1, "channels differ");
	DEMAND(infini_ggml_shape(t, a->ne[0] * a->ne[1], ow, b->ne[2], 1), "shape");
	return NULL;
}

static const char *check_conv_transpose_1d(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	int32_t stride = t->op_params[0];

	DEMAND((is_f32(a) || a->type == GGML_TYPE_F16) && is_f32(b) && is_f32(t), "type");
	DEMAND(ggml_is_matrix(b) && a->ne[3] == 1 && a->ne[2] == b->ne[1], "channels differ");
	DEMAND(stride > 0 && t->op_params[1] == 0 && t->op_params[2] == 1, "window");
	DEMAND(ggml_nelements(a) <= INT32_MAX && ggml_nelements(b) <= INT32_MAX, "too large");
	DEMAND(infini_ggml_shape(t, (b->ne[0] - 1) * stride + a->ne[0], a->ne[1], 1, 1), "shape");
	DEMAND(is_rows(a) && is_rows(b) && infini_ggml_packed(t), "layout");
	return NULL;
}

static const char *check_col2im_1d(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	int64_t stride = t->op_params[0], channels = t->op_params[1], pad = t->op_params[2];

	DEMAND(infini_ggml_plain_float(a) && t->type == a->type, "type");
	DEMAND(ggml_is_matrix(a) && infini_ggml_packed(a) && infini_ggml_packed(t), "layout");
	DEMAND(stride > 0 && channels > 0 && pad >= 0, "window");
	DEMAND(a->ne[0] % channels == 0, "channels");
	/* All below 2^31: nothing can overflow. */
	DEMAND(infini_ggml_shape(t, (a->ne[1] - 1) * stride + a->ne[0] / channels - 2 * pad,
				 channels, 1, 1), "shape");
	return NULL;
}

static const char *check_pool(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	bool two = t->op == GGML_OP_POOL_2D;
	int i, last = two ? 6 : 3;

	DEMAND(is_f32(t) && (is_f32(a) || a->type == GGML_TYPE_F16), "type");
	DEMAND(t->op_params[0] == GGML_OP_POOL_MAX || t->op_params[0] == GGML_OP_POOL_AVG,
	       "no such pooling");
	/* Windows are clipped to the source; only their count must stay within int. */
	for (i = 1; i <= last; i++)
		DEMAND(t->op_params[i] >= (i <= (two ? 4 : 2)) && t->op_params[i] <= 1 << 14,
		       "window");
	DEMAND(t->ne[0] <= 1 << 16 && t->ne[1] <= INT32_MAX, "too large");
	DEMAND(!two || t->ne[1] <= 1 << 16, "too large");
	DEMAND(two || t->ne[1] == a->ne[1], "shape");
	DEMAND(t->ne[2] == a->ne[2] && t->ne[3] == a->ne[3], "shape");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(t), "not contiguous");
	return NULL;
}

static const char *check_upscale(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	uint32_t mode = (uint32_t)t->op_params[0];
	int i;

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND((mode & 0xff) < GGML_SCALE_MODE_COUNT, "no such mode");
	DEMAND(!(mode & GGML_SCALE_FLAG_ANTIALIAS) || (mode & 0xff) == GGML_SCALE_MODE_BILINEAR,
	       "no such mode");
	/* The kernel divides in float: its last index must still be inside. */
	for (i = 0; i < GGML_MAX_DIMS; i++) {
		float factor = (float)t->ne[i] / a->ne[i];

		if (i < 2 && (mode & GGML_SCALE_FLAG_ALIGN_CORNERS) && t->ne[i] > 1 && a->ne[i] > 1)
			factor = (float)(t->ne[i] - 1) / (a->ne[i] - 1);
		DEMAND((int64_t)((t->ne[i] - 1) / factor) < a->ne[i], "factor");
	}
	return NULL;
}

static const char *check_pad(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	const int32_t *p = t->op_params;
	int i;

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(p[8] == 0 || p[8] == 1, "flags");
	DEMAND(infini_ggml_packed(t), "result is not contiguous");
	for (i = 0; i < GGML_MAX_DIMS; i++) {
		DEMAND(p[2 * i] >= 0 && p[2 * i + 1] >= 0, "negative padding");
		DEMAND(t->ne[i] == a->ne[i] + p[2 * i] + p[2 * i + 1], "shape");
		/* Circular padding wraps once. */
		DEMAND(!p[8] || (p[2 * i] <= a->ne[i] && p[2 * i + 1] <= a->ne[i]), "padding");
	}
	return NULL;
}

static const char *check_pad_reflect(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	int32_t left = t->op_params[0], right = t->op_params[1];

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(left >= 0 && left < a->ne[0] && right >= 0 && right < a->ne[0], "padding");
	DEMAND(infini_ggml_shape(t, a->ne[0] + left + right, a->ne[1], a->ne[2], a->ne[3]),
	       "shape");
	DEMAND(is_rows(a) && is_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_roll(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	int i;

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(is_rows(a) && is_rows(t), "rows have gaps");
	for (i = 0; i < GGML_MAX_DIMS; i++)
		DEMAND(llabs(t->op_params[i]) < a->ne[i], "shift");
	return NULL;
}

static const char *check_timestep(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(t->op_params[0] > 0 && t->op_params[1] > 0, "dimension or period");
	DEMAND(infini_ggml_shape(t, t->op_params[0], a->ne[0], 1, 1), "shape");
	DEMAND(is_rows(a) && is_rows(t), "rows have gaps");
	return NULL;
}

/* Kernel and result of CONV_2D and CONV_3D, with @window elements of the kernel for one result. */
static const char *check_direct(const struct ggml_tensor *t, int64_t window, int64_t channels)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND((is_f32(a) || a->type == GGML_TYPE_F16) && is_f32(b) && is_f32(t), "type");
	/* It is read as one row of numbers, whatever its strides say of dimensions of one. */
	DEMAND(ggml_is_contiguous(a), "kernel is not contiguous");
	DEMAND(window <= PATCH_BYTES / 4 && channels <= PATCH_BYTES / 4 &&
	       window * (int64_t)ggml_type_size(a->type) + channels * 4 <= PATCH_BYTES / 2,
	       "kernel is too large");
	return NULL;
}

static const char *check_conv_2d(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	const int32_t *p = t->op_params;
	int64_t ow = conv_steps(b->ne[0], a->ne[0], p[0], p[2], p[4]);
	int64_t oh = conv_steps(b->ne[1], a->ne[1], p[1], p[3], p[5]);

	DEMAND(ow > 0 && oh > 0, "window");
	DEMAND(a->ne[2] == b->ne[2], "channels differ");
	DEMAND(infini_ggml_shape(t, ow, oh, a->ne[3], b->ne[3]), "shape");
	return check_direct(t, a->ne[0] * a->ne[1] * a->ne[2], a->ne[3]);
}

static const char *check_conv_3d(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	const int32_t *p = t->op_params;
	int64_t in = p[9], n = p[10], out = p[11], steps[3];
	int i;

	for (i = 0; i < 3; i++) {
		steps[i] = conv_steps(b->ne[i], a->ne[i], p[i], p[3 + i], p[6 + i]);
		DEMAND(steps[i] > 0, "window");
	}
	DEMAND(in > 0 && n > 0 && out > 0 && a->ne[3] == in * out && b->ne[3] == in * n,
	       "channels differ");
	DEMAND(infini_ggml_shape(t, steps[0], steps[1], steps[2], out * n), "shape");
	return check_direct(t, a->ne[0] * a->ne[1] * a->ne[2] * in, out);
}

/* Channels first in memory, width, height: what ggml calls CWHN. */
static bool channels_first(const struct ggml_tensor *t, int channels, int width, int height)
{
	size_t size = ggml_type_size(t->type);

	return t->nb[channels] == size && t->nb[width] == size * t->ne[channels] &&
	       t->nb[height] == t->nb[width] * t->ne[width];
}

static const char *check_conv_2d_dw(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	const int32_t *p = t->op_params;
	int64_t ow = conv_steps(b->ne[0], a->ne[0], p[0], p[2], p[4]);
	int64_t oh = conv_steps(b->ne[1], a->ne[1], p[1], p[3], p[5]);

	DEMAND((is_f32(a) || a->type == GGML_TYPE_F16) && is_f32(b) && is_f32(t), "type");
	DEMAND(ow > 0 && oh > 0, "window");
	DEMAND(a->ne[2] == 1 && a->ne[3] == b->ne[2], "channels differ");
	DEMAND(infini_ggml_shape(t, ow, oh, b->ne[2], b->ne[3]), "shape");
	if (infini_ggml_packed(b)) {
		DEMAND(infini_ggml_packed(a) && infini_ggml_packed(t), "layouts differ");
		return NULL;
	}
	DEMAND(!ggml_is_contiguous(b) && channels_first(b, 2, 0, 1) && channels_first(t, 2, 0, 1) &&
	       channels_first(a, 3, 0, 1) && b->nb[3] == b->nb[1] * b->ne[1] &&
	       t->nb[3] == t->nb[1] * t->ne[1], "layouts differ");
	return NULL;
}

static const char *check_conv_transpose_2d(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	int64_t stride = t->op_params[0];

	DEMAND((is_f32(a) || a->type == GGML_TYPE_F16) && is_f32(b) && is_f32(t), "type");
	DEMAND(stride > 0 && a->ne[3] == b->ne[2], "stride or channels");
	DEMAND(ggml_nelements(a) <= INT32_MAX && ggml_nelements(b) <= INT32_MAX, "too large");
	DEMAND(infini_ggml_shape(t, (b->ne[0] - 1) * stride + a->ne[0],
				 (b->ne[1] - 1) * stride + a->ne[1], a->ne[2], b->ne[3]), "shape");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(b) && infini_ggml_packed(t),
	       "not contiguous");
	return NULL;
}

static const char *check_im2col_3d(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	const int32_t *p = t->op_params;
	int64_t in = p[9], steps[3];
	int i;

	DEMAND(is_f32(b) && is_rows(b) && (is_f32(t) || t->type == GGML_TYPE_F16), "type");
	for (i = 0; i < 3; i++) {
		steps[i] = conv_steps(b->ne[i], a->ne[i], p[i], p[3 + i], p[6 + i]);
		DEMAND(steps[i] > 0, "window");
	}
	DEMAND(in > 0 && b->ne[3] % in == 0, "channels");
	DEMAND(infini_ggml_shape(t, a->ne[0] * a->ne[1] * a->ne[2] * in, steps[0], steps[1],
				 steps[2] * (b->ne[3] / in)), "shape");
	DEMAND(infini_ggml_packed(t), "not contiguous");
	return NULL;
}

static const struct infini_ggml_rule image[GGML_OP_COUNT] = {
	[GGML_OP_IM2COL]		= { 0x03, 0, check_im2col },
	[GGML_OP_IM2COL_3D]		= { 0x03, 0, check_im2col_3d },
	[GGML_OP_CONV_2D]		= { 0x03, 0, check_conv_2d },
	[GGML_OP_CONV_3D]		= { 0x03, 0, check_conv_3d, .empty = 0x01 },
	[GGML_OP_CONV_2D_DW]		= { 0x03, 0, check_conv_2d_dw },
	[GGML_OP_COL2IM_1D]		= { 0x01, 0, check_col2im_1d },
	[GGML_OP_CONV_TRANSPOSE_1D]	= { 0x03, 0, check_conv_transpose_1d },
	[GGML_OP_CONV_TRANSPOSE_2D]	= { 0x03, 0, check_conv_transpose_2d },
	[GGML_OP_POOL_1D]		= { 0x01, 0, check_pool },
	[GGML_OP_POOL_2D]		= { 0x01, 0, check_pool },
	[GGML_OP_UPSCALE]		= { 0x01, 0, check_upscale },
	[GGML_OP_PAD]			= { 0x01, 0, check_pad },
	[GGML_OP_PAD_REFLECT_1D]	= { 0x01, 0, check_pad_reflect },
	[GGML_OP_ROLL]			= { 0x01, 0, check_roll },
	[GGML_OP_TIMESTEP_EMBEDDING]	= { 0x01, 0, check_timestep },
};

const struct infini_ggml_rule *infini_ggml_rule_image(enum ggml_op op)
{
	return image[op].check ? &image[op] : NULL;
}
