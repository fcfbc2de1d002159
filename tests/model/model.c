// SPDX-License-Identifier: GPL-2.0-or-later
/* A small llama: its loss and its gradient, by hand, on OpenBLAS. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include <cblas.h>

#include "model.h"

static const float EPS = 1e-5f, ROPE_BASE = 10000;
static float rope_cos[CTX][HEAD / 2], rope_sin[CTX][HEAD / 2];

void gemm(bool ta, bool tb, int m, int n, int k, float alpha, const float *a, int lda,
	  const float *b, int ldb, float beta, float *c, int ldc)
{
	cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
		    m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/* y = x w^T for w [out][in] */
static void linear(const float *x, const float *w, int in, int out, float *y, float beta)
{
	gemm(false, true, TOKENS, out, in, 1, x, in, w, in, beta, y, out);
}

/* dx = beta dx + dy w, dw += dy^T x */
static void linear_back(const float *x, const float *w, int in, int out, const float *dy,
			float *dx, float beta, float *dw)
{
	gemm(false, false, TOKENS, in, out, 1, dy, out, w, in, beta, dx, in);
	gemm(true, false, out, in, TOKENS, 1, dy, out, x, in, 1, dw, in);
}

static void rms_norm(const float x[][DIM], const float *w, float y[][DIM], float *r)
{
	for (int t = 0; t < TOKENS; t++) {
		float sum = 0;

		for (int i = 0; i < DIM; i++)
			sum += x[t][i] * x[t][i];
		r[t] = 1 / sqrtf(sum / DIM + EPS);
		for (int i = 0; i < DIM; i++)
			y[t][i] = x[t][i] * r[t] * w[i];
	}
}

/* dx += the gradient through the norm of dy */
static void rms_norm_back(const float x[][DIM], const float *w, const float *r,
			  const float dy[][DIM], float dx[][DIM], float *dw)
{
	for (int t = 0; t < TOKENS; t++) {
		float dot = 0;

		for (int i = 0; i < DIM; i++) {
			dot += dy[t][i] * w[i] * x[t][i];
			dw[i] += dy[t][i] * x[t][i] * r[t];
		}
		dot *= r[t] * r[t] * r[t] / DIM;
		for (int i = 0; i < DIM; i++)
			dx[t][i] += dy[t][i] * w[i] * r[t] - x[t][i] * dot;
	}
}

/* Turn interleaved pairs (2i, 2i+1), llama.cpp's own order; sign -1 turns them back. */
static void rope(float *x, int width, int length, float sign)
{
	for (int t = 0; t < TOKENS; t++) {
		const float *c = rope_cos[t % length], *s = rope_sin[t % length];

		for (int i = 0; i < width; i += 2) {
			float *p = x + t * width + i, a = p[0], b = p[1];
			int f = i % HEAD / 2;

			p[0] = a * c[f] - b * sign * s[f];
			p[1] = a * sign * s[f] + b * c[f];
		}
	}
}

/* Softmax of each query's scores over the keys it may see, zero beyond. */
static void causal_softmax(float *att, int from, int queries, int keys, int stride)
{
	for (int t = 0; t < queries; t++) {
		float *row = att + (size_t)t * stride, top = row[0], sum = 0;
		int seen = from + t + 1;

		for (int j = 1; j < seen; j++)
			top = row[j] > top ? row[j] : top;
		for (int j = 0; j < seen; j++)
			row[j] = expf(row[j] - top);
		for (int j = 0; j < seen; j++)
			sum += row[j];
		sum = 1 / sum;
		for (int j = 0; j < seen; j++)
			row[j] *= sum;
		memset(row + seen, 0, (keys - seen) * sizeof(*row));
	}
}

static void attention(struct saved *s, int T)
{
	const float scale = 1 / sqrtf(HEAD);

	for (int row = 0; row < TOKENS / T; row++)
		for (int h = 0; h < HEADS; h++) {
			const float *q = &s->q[row * T][h * HEAD];
			const float *k = &s->k[row * T][h / (HEADS / KV_HEADS) * HEAD];
			const float *v = &s->v[row * T][h / (HEADS / KV_HEADS) * HEAD];
			float *att = s->att + ((size_t)row * HEADS + h) * T * T;

			for (int from = 0; from < T; from += CHUNK) {
				int n = T - from < CHUNK ? T - from : CHUNK, keys = from + n;
				float *a = att + (size_t)from * T;

				gemm(false, true, n, keys, HEAD, scale, q + from * DIM, DIM, k, KV,
				     0, a, T);
				causal_softmax(a, from, n, keys, T);
				gemm(false, false, n, HEAD, keys, 1, a, T, v, KV, 0,
				     &s->y[row * T + from][h * HEAD], DIM);
			}
		}
}

/* Queries from .. from + n of a head: a is their softmax over the keys, d room for its gradient. */
static void chunk_back(struct worker *o, struct saved *s, int token, int from, int n, int head,
		       const float *a)
{
	const int T = o->length, keys = from + n, kv = head / (HEADS / KV_HEADS) * HEAD;
	const float scale = 1 / sqrtf(HEAD), *dy = &o->dy[token + from][head * HEAD];
	const float *q = &s->q[token + from][head * HEAD], *k = &s->k[token][kv];
	float *d = o->datt;

	gemm(true, false, keys, HEAD, n, 1, a, T, dy, DIM, 1, &o->dv[token][kv], KV);
	gemm(false, true, n, keys, HEAD, 1, dy, DIM, &s->v[token][kv], KV, 0, d, keys);
	for (int t = 0; t < n; t++) {
		const float *ar = a + (size_t)t * T;
		float *dr = d + (size_t)t * keys, dot = 0;

		for (int j = 0; j < keys; j++)
			dot += ar[j] * dr[j];
		for (int j = 0; j < keys; j++)
			dr[j] = ar[j] * (dr[j] - dot) * scale;
	}
	gemm(false, false, n, HEAD, keys, 1, d, keys, k, KV, 0,
	     &o->dq[token + from][head * HEAD], DIM);
	gemm(true, false, keys, HEAD, n, 1, d, keys, q, DIM, 1, &o->dk[token][kv], KV);
}

static void attention_back(struct worker *o, struct saved *s)
{
	const int T = o->length;

	memset(o->dk, 0, sizeof(o->dk));
	memset(o->dv, 0, sizeof(o->dv));
	for (int row = 0; row < TOKENS / T; row++)
		for (int h = 0; h < HEADS; h++) {
			const float *att = s->att + ((size_t)row * HEADS + h) * T * T;

			for (int from = 0; from < T; from += CHUNK)
				chunk_back(o, s, row * T, from, T - from < CHUNK ? T - from : CHUNK,
					   h, att + (size_t)from * T);
		}
}

static void silu(const float *gate, const float *up, float *act)
{
	for (int j = 0; j < TOKENS * FFN; j++)
		act[j] = gate[j] / (1 + expf(-gate[j])) * up[j];
}

/* dact, the gradient of act, becomes that of up. */
static void silu_back(const float *gate, const float *up, float *dact, float *dgate)
{
	for (int j = 0; j < TOKENS * FFN; j++) {
		float g = gate[j], sig = 1 / (1 + expf(-g));

		dgate[j] = dact[j] * up[j] * sig * (1 + g * (1 - sig));
		dact[j] *= g * sig;
	}
}

static void forward(struct worker *o)
{
	const struct weights *w = o->w;

	for (int t = 0; t < TOKENS; t++)
		memcpy(o->x[t], w->token_embd[o->in[t]], sizeof(o->x[t]));
	for (int i = 0; i < LAYERS; i++) {
		const struct layer *l = &w->layer[i];
		struct saved *s = &o->saved[i];

		memcpy(s->in, o->x, sizeof(s->in));
		rms_norm(s->in, l->attn_norm, s->h1, s->r1);
		linear(s->h1[0], l->attn_q[0], DIM, DIM, s->q[0], 0);
		linear(s->h1[0], l->attn_k[0], DIM, KV, s->k[0], 0);
		linear(s->h1[0], l->attn_v[0], DIM, KV, s->v[0], 0);
		rope(s->q[0], DIM, o->length, 1);
		rope(s->k[0], KV, o->length, 1);
		attention(s, o->length);
		linear(s->y[0], l->attn_output[0], DIM, DIM, o->x[0], 1);
		memcpy(s->mid, o->x, sizeof(s->mid));
		rms_norm(s->mid, l->ffn_norm, s->h2, s->r2);
		linear(s->h2[0], l->ffn_gate[0], DIM, FFN, s->gate[0], 0);
		linear(s->h2[0], l->ffn_up[0], DIM, FFN, s->up[0], 0);
		silu(&s->gate[0][0], &s->up[0][0], &s->act[0][0]);
		linear(s->act[0], l->ffn_down[0], FFN, DIM, o->x[0], 1);
	}
	rms_norm(o->x, w->output_norm, o->hf, o->rf);
	linear(o->hf[0], w->token_embd[0], DIM, VOCAB, o->logits[0], 0);
}

/* The loss of the thread's tokens; the logits become their gradient, for the mean over a step. */
static void cross_entropy(struct worker *o)
{
	o->loss = 0;
	for (int t = 0; t < TOKENS; t++) {
		float *l = o->logits[t], top = l[0], sum = 0, picked = l[o->target[t]];

		for (int i = 1; i < VOCAB; i++)
			top = l[i] > top ? l[i] : top;
		for (int i = 0; i < VOCAB; i++) {
			l[i] = expf(l[i] - top);
			sum += l[i];
		}
		o->loss += logf(sum) + top - picked;
		sum = 1 / (sum * STEP_TOKENS);
		for (int i = 0; i < VOCAB; i++)
			l[i] *= sum;
		l[o->target[t]] -= 1.0f / STEP_TOKENS;
	}
}

static void ffn_back(struct worker *o, const struct layer *l, struct saved *s, struct layer *d)
{
	linear_back(s->act[0], l->ffn_down[0], FFN, DIM, o->dx[0], o->dact[0], 0, d->ffn_down[0]);
	silu_back(&s->gate[0][0], &s->up[0][0], &o->dact[0][0], &o->dgate[0][0]);
	linear_back(s->h2[0], l->ffn_up[0], DIM, FFN, o->dact[0], o->dh[0], 0, d->ffn_up[0]);
	linear_back(s->h2[0], l->ffn_gate[0], DIM, FFN, o->dgate[0], o->dh[0], 1, d->ffn_gate[0]);
	rms_norm_back(s->mid, l->ffn_norm, s->r2, o->dh, o->dx, d->ffn_norm);
}

static void backward(struct worker *o)
{
	const struct weights *w = o->w;
	struct weights *g = &o->grad;

	memset(g, 0, sizeof(*g));
	memset(o->dx, 0, sizeof(o->dx));
	linear_back(o->hf[0], w->token_embd[0], DIM, VOCAB, o->logits[0], o->dh[0], 0,
		    g->token_embd[0]);
	rms_norm_back(o->x, w->output_norm, o->rf, o->dh, o->dx, g->output_norm);
	for (int i = LAYERS - 1; i >= 0; i--) {
		const struct layer *l = &w->layer[i];
		struct saved *s = &o->saved[i];
		struct layer *d = &g->layer[i];

		ffn_back(o, l, s, d);
		linear_back(s->y[0], l->attn_output[0], DIM, DIM, o->dx[0], o->dy[0], 0,
			    d->attn_output[0]);
		attention_back(o, s);
		rope(o->dq[0], DIM, o->length, -1);
		rope(o->dk[0], KV, o->length, -1);
		linear_back(s->h1[0], l->attn_q[0], DIM, DIM, o->dq[0], o->dh[0], 0, d->attn_q[0]);
		linear_back(s->h1[0], l->attn_k[0], DIM, KV, o->dk[0], o->dh[0], 1, d->attn_k[0]);
		linear_back(s->h1[0], l->attn_v[0], DIM, KV, o->dv[0], o->dh[0], 1, d->attn_v[0]);
		rms_norm_back(s->in, l->attn_norm, s->r1, o->dh, o->dx, d->attn_norm);
	}
	for (int t = 0; t < TOKENS; t++)
		for (int i = 0; i < DIM; i++)
			g->token_embd[o->in[t]][i] += o->dx[t][i];
}

static void *work(void *arg)
{
	struct worker *o = arg;

	forward(o);
	cross_entropy(o);
	if (o->backward)
		backward(o);
	return NULL;
}

double model_run(struct worker o[THREADS])
{
	pthread_t thread[THREADS];
	double loss = 0;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, work, &o[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		loss += o[i].loss;
	}
	if (o[0].backward)
		for (int i = 1; i < THREADS; i++)
			cblas_saxpy(N_WEIGHTS, 1, (float *)&o[i].grad, 1, (float *)&o[0].grad, 1);
	return loss / STEP_TOKENS;
}

void model_init(void)
{
	for (int t = 0; t < CTX; t++)
		for (int i = 0; i < HEAD / 2; i++) {
			float angle = t * powf(ROPE_BASE, -2.0f * i / HEAD);

			rope_cos[t][i] = cosf(angle);
			rope_sin[t][i] = sinf(angle);
		}
}
