// SPDX-License-Identifier: GPL-2.0-or-later
/* Muon for the matrices of the layers, Adam for the embedding and the norms. */
#include <math.h>
#include <string.h>

#include <cblas.h>

#include "model.h"

static const float LR_MATRIX = 0.02f, LR_ADAM = 0.004f;
static const float MOMENTUM = 0.95f, WEIGHT_DECAY = 0.05f, BETA1 = 0.9f, BETA2 = 0.98f;

/* x [m][n], m <= n, to nearly orthogonal rows: five Newton-Schulz steps, as Muon takes them */
static void orthogonal(float *x, int m, int n)
{
	static float a[DIM * DIM], b[DIM * DIM], c[DIM * FFN];
	float norm = cblas_snrm2(m * n, x, 1);

	cblas_sscal(m * n, 1 / (norm + 1e-7f), x, 1);
	for (int i = 0; i < 5; i++) {
		gemm(false, true, m, m, n, 1, x, n, x, n, 0, a, m);
		memcpy(b, a, m * m * sizeof(*b));
		gemm(false, false, m, m, m, 2.0315f, a, m, a, m, -4.7750f, b, m);
		memcpy(c, x, m * n * sizeof(*c));
		gemm(false, false, m, n, m, 1, b, m, c, n, 3.4445f, x, n);
	}
}

static void muon(float *w, float *g, float *m, int rows, int cols, float rate)
{
	static float u[DIM * FFN];
	bool tall = rows > cols;
	float boost = tall ? sqrtf((float)rows / cols) : 1;

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < cols; j++) {
			int at = i * cols + j;

			m[at] = MOMENTUM * m[at] + g[at];
			u[tall ? j * rows + i : at] = g[at] + MOMENTUM * m[at];
		}
	orthogonal(u, tall ? cols : rows, tall ? rows : cols);
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < cols; j++) {
			int at = i * cols + j;

			w[at] *= 1 - rate * WEIGHT_DECAY;
			w[at] -= rate * boost * u[tall ? j * rows + i : at];
		}
}

static void adam(float *w, const float *g, float *m, float *v, int n, float step, float clip,
		 float rate)
{
	float c1 = 1 / (1 - powf(BETA1, step)), c2 = 1 / (1 - powf(BETA2, step));

	for (int i = 0; i < n; i++) {
		float x = g[i] * clip;

		m[i] = BETA1 * m[i] + (1 - BETA1) * x;
		v[i] = BETA2 * v[i] + (1 - BETA2) * x * x;
		w[i] -= rate * m[i] * c1 / (sqrtf(v[i] * c2) + 1e-8f);
	}
}

/* The name of a member of struct weights, for all that has its shape. */
#define FLOATS(base, member) ((float *)(base)->member)
#define ADAM(member) \
	adam(FLOATS(w, member), FLOATS(g, member), FLOATS(&o->m, member), FLOATS(&o->v, member), \
	     sizeof(w->member) / sizeof(float), o->step, clip, LR_ADAM * scale)
#define MUON(member, rows, cols) \
	muon(FLOATS(w, member), FLOATS(g, member), FLOATS(&o->m, member), rows, cols, \
	     LR_MATRIX * scale)

void optimizer_step(struct optimizer *o, struct weights *w, struct weights *g, float scale)
{
	float norm = cblas_snrm2(N_WEIGHTS, (float *)g, 1), clip = norm > 1 ? 1 / norm : 1;

	o->step++;
	ADAM(token_embd);
	ADAM(output_norm);
	for (int i = 0; i < LAYERS; i++) {
		ADAM(layer[i].attn_norm);
		ADAM(layer[i].ffn_norm);
		MUON(layer[i].attn_q, DIM, DIM);
		MUON(layer[i].attn_k, KV, DIM);
		MUON(layer[i].attn_v, KV, DIM);
		MUON(layer[i].attn_output, DIM, DIM);
		MUON(layer[i].ffn_gate, FFN, DIM);
		MUON(layer[i].ffn_up, FFN, DIM);
		MUON(layer[i].ffn_down, DIM, FFN);
	}
}
