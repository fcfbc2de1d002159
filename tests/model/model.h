/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The story model for its training: sizes, weights, the state of a step. */
#ifndef STORY_MODEL_H
#define STORY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
	VOCAB = 2048,
	DIM = 192,
	LAYERS = 4,
	HEADS = 6,
	KV_HEADS = 2,
	HEAD = DIM / HEADS,
	KV = KV_HEADS * HEAD,
	FFN = 512,
	CTX = 1024,
	CHUNK = 256,			/* queries at a time in attention */
	STEP_TOKENS = 2048,
	THREADS = 2,
	TOKENS = STEP_TOKENS / THREADS,	/* a thread's share of a step */
};

struct layer {
	float attn_norm[DIM], attn_q[DIM][DIM], attn_k[KV][DIM], attn_v[KV][DIM];
	float attn_output[DIM][DIM], ffn_norm[DIM];
	float ffn_gate[FFN][DIM], ffn_up[FFN][DIM], ffn_down[DIM][FFN];
};

/* The weights, their gradients and their momenta all have this shape; export.py knows it too. */
struct weights {
	float token_embd[VOCAB][DIM], output_norm[DIM];
	struct layer layer[LAYERS];
};

#define N_WEIGHTS (sizeof(struct weights) / sizeof(float))

/* What the forward pass of a layer leaves for the backward pass. */
struct saved {
	float in[TOKENS][DIM], h1[TOKENS][DIM], r1[TOKENS];
	float q[TOKENS][DIM], k[TOKENS][KV], v[TOKENS][KV], y[TOKENS][DIM];
	float mid[TOKENS][DIM], h2[TOKENS][DIM], r2[TOKENS];
	float gate[TOKENS][FFN], up[TOKENS][FFN], act[TOKENS][FFN];
	float att[TOKENS * CTX * HEADS];	/* [row][head][query][key] */
};

struct worker {
	const struct weights *w;
	struct weights grad;
	struct saved saved[LAYERS];
	float x[TOKENS][DIM], hf[TOKENS][DIM], rf[TOKENS], logits[TOKENS][VOCAB];
	float dx[TOKENS][DIM], dh[TOKENS][DIM], dq[TOKENS][DIM], dk[TOKENS][KV], dv[TOKENS][KV];
	float dy[TOKENS][DIM], dact[TOKENS][FFN], dgate[TOKENS][FFN];
	float datt[CHUNK * CTX];
	uint16_t in[TOKENS], target[TOKENS];
	int length;		/* tokens in a row */
	bool backward;
	double loss;
};

struct optimizer {
	struct weights m, v;
	float step;
};

/* c[m][n] = alpha a b + beta c, row by row, with a and b as stored or transposed */
void gemm(bool ta, bool tb, int m, int n, int k, float alpha, const float *a, int lda,
	  const float *b, int ldb, float beta, float *c, int ldc);

/* To be called once, first. */
void model_init(void);

/* The loss of a step's tokens; with backward set, worker[0].grad becomes its gradient. */
double model_run(struct worker worker[THREADS]);

void optimizer_step(struct optimizer *o, struct weights *w, struct weights *grad, float scale);

#endif
