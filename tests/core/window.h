/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The most and the least that somebody had in any second: not in those of a grid, in any. */
#ifndef INFINI_TESTS_CORE_WINDOW_H
#define INFINI_TESTS_CORE_WINDOW_H

#include "port.h"

#define WINDOW_NS	1000000000ull

struct span {
	u64 start_ns;
	u64 end_ns;
};

/**
 * struct window - a second that slides along with time
 * @spans: of service, a ring of @room, of which @nr from @head on reach into the window
 * @sum_ns: all of them
 * @since_ns: nothing is known of the time before
 * @work_ns: since when there is work without a break; for the least
 * @most_ns: in any second
 * @least_ns: in any second full of work; U64_MAX before the first
 *
 * What is in the window grows while there is service and its end is at the front, so it is most
 * when a span ends, and least when one starts.
 */
struct window {
	struct span *spans;
	u32 head;
	u32 nr;
	u32 room;
	u64 sum_ns;
	u64 since_ns;
	u64 work_ns;
	u64 most_ns;
	u64 least_ns;
};

void window_reset(struct window *window, u64 now_ns);
void window_free(struct window *window);

/* There has been work since now. */
void window_work(struct window *window, u64 now_ns);

/* Service begins now, after a time with work and none, or goes on without work after now. */
void window_begin(struct window *window, u64 now_ns);

/* There was service from @start_ns to now, after all that was told before. */
void window_end(struct window *window, u64 start_ns, u64 now_ns);

#endif /* INFINI_TESTS_CORE_WINDOW_H */
