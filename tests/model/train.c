// SPDX-License-Identifier: GPL-2.0-or-later
/* Trains the story model: train DIR MINUTES, on what prepare.py put into DIR. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "model.h"

enum {
	BOS = 1,
	HELD_OUT_ROWS = 32,
	HELD_OUT_LENGTH = 256,
};

/* Token ids of all books one after another, and where each book begins. */
struct text {
	uint16_t *ids;
	size_t n, *start, books;
};

static void *read_file(const char *dir, const char *name, size_t *bytes)
{
	char path[4096];
	struct stat st;
	void *buf;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (!f)
		return NULL;
	fstat(fileno(f), &st);
	buf = malloc(st.st_size);
	*bytes = fread(buf, 1, st.st_size, f);
	fclose(f);
	return buf;
}

static struct text read_text(const char *dir, const char *name)
{
	struct text t = {};
	size_t bytes;

	t.ids = read_file(dir, name, &bytes);
	if (!t.ids) {
		fprintf(stderr, "train: no %s/%s\n", dir, name);
		exit(1);
	}
	t.n = bytes / 2;
	t.start = malloc(t.n * sizeof(*t.start));
	for (size_t i = 0; i + CTX + 1 < t.n; i++)
		if (t.ids[i] == BOS)
			t.start[t.books++] = i;
	return t;
}

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % n;
}

static void set_row(struct worker *o, int row, const uint16_t *ids)
{
	memcpy(o->in + row * o->length, ids, o->length * sizeof(*ids));
	memcpy(o->target + row * o->length, ids + 1, o->length * sizeof(*ids));
}

/* Each row is the start of a book, or with the given chance of a page of drills. */
static void fill(struct worker *o, int length, double drill_share, const struct text *books,
		 const struct text *drills)
{
	for (int i = 0; i < THREADS; i++) {
		o[i].length = length;
		o[i].backward = true;
		for (int row = 0; row < TOKENS / length; row++) {
			const struct text *t = books;

			if (random_below(1 << 20) < drill_share * (1 << 20))
				t = drills;
			set_row(&o[i], row, t->ids + t->start[random_below(t->books)]);
		}
	}
}

static double held_out_loss(struct worker *o, const struct text *held_out)
{
	int per_step = STEP_TOKENS / HELD_OUT_LENGTH, each = per_step / THREADS;
	double loss = 0;

	for (int from = 0; from < HELD_OUT_ROWS; from += per_step) {
		for (int i = 0; i < per_step; i++) {
			o[i / each].length = HELD_OUT_LENGTH;
			o[i / each].backward = false;
			set_row(&o[i / each], i % each, held_out->ids + held_out->start[from + i]);
		}
		loss += model_run(o) * per_step / HELD_OUT_ROWS;
	}
	return loss;
}

static void scale(void *p, size_t bytes, float by)
{
	for (size_t i = 0; i < bytes / sizeof(float); i++)
		((float *)p)[i] *= by;
}

static void ones(float p[DIM])
{
	for (int i = 0; i < DIM; i++)
		p[i] = 1;
}

static void random_weights(struct weights *w)
{
	/* what goes into the residual stream starts smaller, or depth would blow it up */
	const float in = 1 / sqrtf(DIM), out = 1 / sqrtf(2 * LAYERS);
	float *p = (float *)w;

	for (size_t i = 0; i < N_WEIGHTS; i++) {	/* nearly normal: a sum of four uniforms */
		float sum = 0;

		for (int j = 0; j < 4; j++)
			sum += random_below(1 << 20) / (float)(1 << 20) - 0.5f;
		p[i] = sum * sqrtf(3);
	}
	scale(w->token_embd, sizeof(w->token_embd), 0.02f);
	ones(w->output_norm);
	for (int i = 0; i < LAYERS; i++) {
		struct layer *l = &w->layer[i];

		ones(l->attn_norm);
		ones(l->ffn_norm);
		scale(l->attn_q, sizeof(l->attn_q), in);
		scale(l->attn_k, sizeof(l->attn_k), in);
		scale(l->attn_v, sizeof(l->attn_v), in);
		scale(l->attn_output, sizeof(l->attn_output), in * out);
		scale(l->ffn_gate, sizeof(l->ffn_gate), in);
		scale(l->ffn_up, sizeof(l->ffn_up), in);
		scale(l->ffn_down, sizeof(l->ffn_down), out / sqrtf(FFN));
	}
}

struct checkpoint {
	struct weights w;
	struct optimizer o;
	double spent;
};

static void save(const char *dir, const struct checkpoint *c)
{
	char path[4096], part[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/checkpoint.bin", dir);
	snprintf(part, sizeof(part), "%s/checkpoint.tmp", dir);
	f = fopen(part, "wb");
	if (!f || fwrite(c, sizeof(*c), 1, f) != 1 || fclose(f) || rename(part, path))
		fprintf(stderr, "train: cannot write %s\n", path);
}

static struct checkpoint *load(const char *dir)
{
	size_t bytes = 0;
	struct checkpoint *c = read_file(dir, "checkpoint.bin", &bytes);

	if (c && bytes == sizeof(*c))
		return c;
	c = calloc(1, sizeof(*c));
	random_weights(&c->w);
	return c;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Learning rate by the share of the time done: short warm-up, flat, down to nothing. */
static float schedule(double done)
{
	double up = done / 0.01 + 0.01, down = (1 - done) / 0.4;

	return (up < 1 ? up : 1) * (down < 1 ? down : 1) + 0.002;
}

/*
 * A model learns to look back for a name from short rows that are full of names, and hardly ever
 * from long ones alone; so drills come first, and long rows last.
 */
static const struct stage {
	double until;		/* share of the time */
	int length;		/* tokens in a row */
	double drills;		/* share of the rows */
} stages[] = {
	{ 0.16, 64, 1.0 },
	{ 0.30, 128, 0.4 },
	{ 0.84, 256, 0.1 },
	{ 1.00, 1024, 0.0 },
};

int main(int argc, char **argv)
{
	struct worker *o = aligned_alloc(64, THREADS * sizeof(*o));
	struct text books, drills, held_out;
	struct checkpoint *c;
	double start, mean = 0, limit;
	const char *dir;

	if (argc != 3) {
		fprintf(stderr, "usage: train DIR MINUTES\n");
		return 2;
	}
	dir = argv[1];
	limit = atof(argv[2]) * 60;
	model_init();
	books = read_text(dir, "books.bin");
	drills = read_text(dir, "drills.bin");
	held_out = read_text(dir, "held-out.bin");
	c = load(dir);
	random_state ^= (uint64_t)c->o.step << 20;
	for (int i = 0; i < THREADS; i++)
		o[i].w = &c->w;
	printf("%zu weights, %zu books, %zu drills, held-out loss %.4f\n", N_WEIGHTS, books.books,
	       drills.books, held_out_loss(o, &held_out));
	start = now() - c->spent;
	while (c->spent < limit) {
		const struct stage *s = stages;
		double done = c->spent / limit, loss;
		int step = c->o.step + 1;

		while (s->until <= done)
			s++;
		fill(o, s->length, s->drills, &books, &drills);
		loss = model_run(o);
		optimizer_step(&c->o, &c->w, &o[0].grad, schedule(done));
		c->spent = now() - start;
		mean = mean ? mean + 0.05 * (loss - mean) : loss;
		if (step % 25 == 0)
			printf("step %d, rows of %d, loss %.3f, %.0f s\n", step, s->length, mean,
			       c->spent);
		if (step % 200 == 0 || c->spent >= limit) {
			printf("step %d, held-out loss %.4f\n", step, held_out_loss(o, &held_out));
			save(dir, c);
		}
		fflush(stdout);
	}
	return 0;
}
