// SPDX-License-Identifier: GPL-2.0-or-later
/* The most and the least that somebody had in any second. */
#include <stdlib.h>

#include "window.h"

static struct span *span_at(const struct window *window, u32 i)
{
	return &window->spans[(window->head + i) % window->room];
}

/* Service in the second before @now_ns; what is older is forgotten. */
static u64 window_sum(struct window *window, u64 now_ns)
{
	u64 from_ns = now_ns > WINDOW_NS ? now_ns - WINDOW_NS : 0;
	struct span *first;

	while (window->nr && span_at(window, 0)->end_ns <= from_ns) {
		first = span_at(window, 0);
		window->sum_ns -= first->end_ns - first->start_ns;
		window->head = (window->head + 1) % window->room;
		window->nr--;
	}
	if (window->nr && span_at(window, 0)->start_ns < from_ns) {
		first = span_at(window, 0);
		window->sum_ns -= from_ns - first->start_ns;
		first->start_ns = from_ns;
	}
	return window->sum_ns;
}

static void window_grow(struct window *window)
{
	u32 room = window->room ? 2 * window->room : 16, i;
	struct span *spans = malloc(room * sizeof(*spans));

	assert(spans);
	for (i = 0; i < window->nr; i++)
		spans[i] = *span_at(window, i);
	free(window->spans);
	window->spans = spans;
	window->head = 0;
	window->room = room;
}

void window_reset(struct window *window, u64 now_ns)
{
	window->nr = 0;
	window->sum_ns = 0;
	window->since_ns = now_ns;
	window->work_ns = now_ns;
	window->most_ns = 0;
	window->least_ns = U64_MAX;
}

void window_free(struct window *window)
{
	free(window->spans);
	memset(window, 0, sizeof(*window));
}

void window_work(struct window *window, u64 now_ns)
{
	window->work_ns = now_ns;
}

/* The end of the first second that is known and full of work. */
static u64 window_full_ns(const struct window *window)
{
	return max_t(u64, window->work_ns, window->since_ns) + WINDOW_NS;
}

void window_begin(struct window *window, u64 now_ns)
{
	if (now_ns >= window_full_ns(window))
		window->least_ns = min_t(u64, window->least_ns, window_sum(window, now_ns));
}

static void window_add(struct window *window, u64 start_ns, u64 end_ns)
{
	if (start_ns >= end_ns)
		return;
	if (window->nr == window->room)
		window_grow(window);
	*span_at(window, window->nr++) = (struct span){ start_ns, end_ns };
	window->sum_ns += end_ns - start_ns;
}

void window_end(struct window *window, u64 start_ns, u64 now_ns)
{
	u64 full_ns = window_full_ns(window);

	start_ns = max_t(u64, start_ns, window->since_ns);
	/* The first full second may end in the middle of it, and be the one with least. */
	if (start_ns < full_ns && full_ns <= now_ns) {
		window_add(window, start_ns, full_ns);
		window_begin(window, full_ns);
		start_ns = full_ns;
	}
	window_add(window, start_ns, now_ns);
	window->most_ns = max_t(u64, window->most_ns, window_sum(window, now_ns));
}
