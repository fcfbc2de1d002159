// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the user sees of the plugin: its one-line messages, and counters with INFINI_TRACE=1.
 */
#include "frontend.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const infini_trace_names[INFINI_TRACE_NR] = {
	[INFINI_TRACE_SYSCALLS] = "syscalls",
	[INFINI_TRACE_SUBMITS] = "submits",
	[INFINI_TRACE_JOBS] = "jobs",
	[INFINI_TRACE_GRAPHS] = "graphs",
	[INFINI_TRACE_GRAPH_SAME] = "graphs_same",
	[INFINI_TRACE_GRAPH_EQUAL] = "graphs_equal",
	[INFINI_TRACE_GRAPH_NEW] = "graphs_new",
	[INFINI_TRACE_INLINE_BYTES] = "inline_bytes",
	[INFINI_TRACE_STAGED_BYTES] = "staged_bytes",
	[INFINI_TRACE_READ_BYTES] = "read_bytes",
	[INFINI_TRACE_MIRROR_BYTES] = "mirror_bytes",
	[INFINI_TRACE_ASKED] = "asked",
	[INFINI_TRACE_REMEMBERED] = "remembered",
	[INFINI_TRACE_MAPPED_BYTES] = "mapped_bytes",
	[INFINI_TRACE_COPIED_BYTES] = "copied_bytes",
};

static _Atomic uint64_t infini_trace_counts[INFINI_TRACE_NR];

void infini_trace_add(enum infini_trace_counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&infini_trace_counts[counter], n, memory_order_relaxed);
}

uint64_t infini_trace_read(enum infini_trace_counter counter)
{
	return atomic_load_explicit(&infini_trace_counts[counter], memory_order_relaxed);
}

void infini_say(const char *format, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	/* One call, so that lines of several threads do not mix. */
	fprintf(stderr, "infini: %s\n", line);
}

void infini_say_once(const char *format, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char said[512];
	char line[sizeof(said)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	if (strcmp(line, said) != 0) {
		strcpy(said, line);
		infini_say("%s", line);
	}
	pthread_mutex_unlock(&lock);
}

/* Runs when the process exits. */
static void __attribute__((destructor)) infini_trace_print(void)
{
	const char *wanted = getenv("INFINI_TRACE");
	char line[512];
	int at = 0;
	size_t i;

	if (!wanted || strcmp(wanted, "1") != 0 || !infini_trace_read(INFINI_TRACE_SYSCALLS))
		return;
	for (i = 0; i < INFINI_TRACE_NR; i++)
		at += snprintf(line + at, sizeof(line) - (size_t)at, " %s=%" PRIu64,
			       infini_trace_names[i], infini_trace_read(i));
	infini_say("trace%s", line);
}
