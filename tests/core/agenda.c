// SPDX-License-Identifier: GPL-2.0-or-later
/* A binary heap of events. */
#include <stdlib.h>

#include "agenda.h"

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void set(struct sim_agenda *agenda, u32 place, struct sim_event *event)
{
	agenda->heap[place - 1] = event;
	event->place = place;
}

static void sift(struct sim_agenda *agenda, struct sim_event *event, u32 place)
{
	while (place > 1 && before(event, agenda->heap[place / 2 - 1])) {
		set(agenda, place, agenda->heap[place / 2 - 1]);
		place /= 2;
	}
	for (;;) {
		u32 child = 2 * place;

		if (child < agenda->nr && before(agenda->heap[child], agenda->heap[child - 1]))
			child++;
		if (child > agenda->nr || !before(agenda->heap[child - 1], event))
			break;
		set(agenda, place, agenda->heap[child - 1]);
		place = child;
	}
	set(agenda, place, event);
}

void sim_agenda_put(struct sim_agenda *agenda, struct sim_event *event, u64 at_ns)
{
	event->at_ns = at_ns;
	event->order = agenda->order++;
	if (!event->place) {
		if (agenda->nr == agenda->room) {
			agenda->room = agenda->room ? 2 * agenda->room : 64;
			agenda->heap = realloc(agenda->heap,
					       agenda->room * sizeof(agenda->heap[0]));
			assert(agenda->heap);
		}
		event->place = ++agenda->nr;
	}
	sift(agenda, event, event->place);
}

void sim_agenda_drop(struct sim_agenda *agenda, struct sim_event *event)
{
	u32 place = event->place;
	struct sim_event *last;

	if (!place)
		return;
	event->place = 0;
	last = agenda->heap[--agenda->nr];
	if (last != event)
		sift(agenda, last, place);
}

void sim_agenda_free(struct sim_agenda *agenda)
{
	free(agenda->heap);
	memset(agenda, 0, sizeof(*agenda));
}
