// SPDX-License-Identifier: GPL-2.0-or-later
/* Things to happen, in a binary heap. */
#include "load.h"

#include <stdbool.h>
#include <stdlib.h>

static bool before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
	struct event c = *a;

	*a = *b;
	*b = c;
}

const struct event *events_first(const struct events *events)
{
	return events->nr ? &events->heap[0] : NULL;
}

void events_add(struct events *events, struct event event)
{
	size_t i = events->nr;

	if (events->nr == events->room) {
		events->room = events->room ? 2 * events->room : 64;
		events->heap = must(realloc(events->heap,
					    events->room * sizeof(*events->heap)));
	}
	event.order = events->added++;
	events->heap[events->nr++] = event;
	while (i && before(&events->heap[i], &events->heap[(i - 1) / 2])) {
		swap(&events->heap[i], &events->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

void events_remove_first(struct events *events)
{
	size_t i = 0, child;

	events->heap[0] = events->heap[--events->nr];
	while ((child = 2 * i + 1) < events->nr) {
		if (child + 1 < events->nr &&
		    before(&events->heap[child + 1], &events->heap[child]))
			child++;
		if (!before(&events->heap[child], &events->heap[i]))
			break;
		swap(&events->heap[i], &events->heap[child]);
		i = child;
	}
}

void events_shift(struct events *events, uint64_t start_ns)
{
	for (size_t i = 0; i < events->nr; i++)
		events->heap[i].at_ns += start_ns;
}
