/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What will happen in virtual time, earliest first; at the same time, in the order it was put. */
#ifndef INFINI_TESTS_CORE_AGENDA_H
#define INFINI_TESTS_CORE_AGENDA_H

#include "port.h"

/**
 * struct sim_event - embedded in what it happens to
 * @at_ns: when
 * @order: among those of the same time
 * @place: in the heap, from 1; 0 when it is not on the agenda
 * @kind: of the owner's choice
 */
struct sim_event {
	u64 at_ns;
	u64 order;
	u32 place;
	u32 kind;
};

/* A binary heap; an event can be moved or taken out from anywhere in it. */
struct sim_agenda {
	struct sim_event **heap;
	u32 nr;
	u32 room;
	u64 order;
};

/* Put @event on the agenda, or move it; it comes after all others of that time. */
void sim_agenda_put(struct sim_agenda *agenda, struct sim_event *event, u64 at_ns);

/* Take @event off the agenda, if it is on it. */
void sim_agenda_drop(struct sim_agenda *agenda, struct sim_event *event);

void sim_agenda_free(struct sim_agenda *agenda);

/* The earliest, or NULL. */
static inline struct sim_event *sim_agenda_first(const struct sim_agenda *agenda)
{
	return agenda->nr ? agenda->heap[0] : NULL;
}

#endif /* INFINI_TESTS_CORE_AGENDA_H */
