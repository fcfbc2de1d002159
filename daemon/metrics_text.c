// SPDX-License-Identifier: GPL-2.0-or-later
/* Metric families as text: OpenMetrics 1.0, or the older text format of Prometheus. */
#include "metrics_text.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/infini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_PER_OCTAVE	4
/* 1 us to 69 s; what is longer counts in +Inf alone. */
#define OCTAVE_FIRST		10
#define OCTAVE_LAST		36
#define NS_PER_S		1000000000ull

static const char *const type_names[] = {
	[INFINI_METRIC_COUNTER] = "counter",
	[INFINI_METRIC_GAUGE] = "gauge",
	[INFINI_METRIC_HISTOGRAM] = "histogram",
	[INFINI_METRIC_INFO] = "info",
};

static void put(struct infini_metrics_text *text, const char *data, size_t length)
{
	size_t room = text->room ? text->room : 4096;
	char *more;

	if (text->failed)
		return;
	while (room - text->length < length)
		room *= 2;
	if (room != text->room) {
		more = realloc(text->data, room);
		if (!more) {
			text->failed = true;
			return;
		}
		text->data = more;
		text->room = room;
	}
	memcpy(text->data + text->length, data, length);
	text->length += length;
}

static void puts_to(struct infini_metrics_text *text, const char *string)
{
	put(text, string, strlen(string));
}

static void __attribute__((format(printf, 2, 3)))
print(struct infini_metrics_text *text, const char *format, ...)
{
	char line[512];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (length < 0 || (size_t)length >= sizeof(line))
		text->failed = true;
	else
		put(text, line, (size_t)length);
}

static const char *suffix(const struct infini_metric_family *family)
{
	switch (family->type) {
	case INFINI_METRIC_COUNTER:
		return "_total";
	case INFINI_METRIC_INFO:
		return "_info";
	default:
		return "";
	}
}

/* OpenMetrics heads have the family's name, the older ones that of its values. */
void infini_metrics_family(struct infini_metrics_text *text,
			   const struct infini_metric_family *family)
{
	const char *end = text->prometheus ? suffix(family) : "";
	const char *type = type_names[family->type];

	if (text->prometheus && family->type == INFINI_METRIC_INFO)
		type = type_names[INFINI_METRIC_GAUGE];
	text->family = family;
	print(text, "# TYPE %s%s %s\n", family->name, end, type);
	if (family->unit && !text->prometheus)
		print(text, "# UNIT %s %s\n", family->name, family->unit);
	print(text, "# HELP %s%s %s\n", family->name, end, family->help);
}

static void put_escaped(struct infini_metrics_text *text, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			puts_to(text, "\\n");
		else if (*value == '"' || *value == '\\')
			print(text, "\\%c", *value);
		else
			put(text, value, 1);
	}
}

/* All up to the value; @le is one more label, of a bucket, or NULL. */
static void put_head(struct infini_metrics_text *text, const char *end,
		     const struct infini_metric_label *labels, const char *le)
{
	const char *separator = "{";

	print(text, "%s%s", text->family->name, end);
	for (; labels && labels->name; labels++) {
		print(text, "%s%s=\"", separator, labels->name);
		put_escaped(text, labels->value);
		puts_to(text, "\"");
		separator = ",";
	}
	if (le) {
		print(text, "%sle=\"%s\"", separator, le);
		separator = ",";
	}
	puts_to(text, *separator == ',' ? "} " : " ");
}

void infini_metrics_u64(struct infini_metrics_text *text, const struct infini_metric_label *labels,
			uint64_t value)
{
	put_head(text, suffix(text->family), labels, NULL);
	print(text, "%" PRIu64 "\n", value);
}

static void put_scaled(struct infini_metrics_text *text, uint64_t value, uint64_t scale)
{
	uint64_t rest = value % scale;

	print(text, "%" PRIu64, value / scale);
	if (rest)
		puts_to(text, ".");
	for (; rest; rest %= scale) {
		scale /= 10;
		print(text, "%" PRIu64, rest / scale);
	}
	puts_to(text, "\n");
}

void infini_metrics_scaled(struct infini_metrics_text *text,
			   const struct infini_metric_label *labels, uint64_t value, uint64_t scale)
{
	put_head(text, suffix(text->family), labels, NULL);
	put_scaled(text, value, scale);
}

void infini_metrics_hist(struct infini_metrics_text *text,
			 const struct infini_metric_label *labels, const uint64_t *hist,
			 uint64_t sum_ns)
{
	uint64_t below = 0;
	unsigned int i = 0;
	char le[32];

	for (unsigned int octave = OCTAVE_FIRST; octave <= OCTAVE_LAST; octave++) {
		while (i < octave * BUCKETS_PER_OCTAVE)
			below += hist[i++];
		snprintf(le, sizeof(le), "%.12g", (double)(1ull << octave) / NS_PER_S);
		put_head(text, "_bucket", labels, le);
		print(text, "%" PRIu64 "\n", below);
	}
	while (i < INFINI_HIST_BUCKETS)
		below += hist[i++];
	put_head(text, "_bucket", labels, "+Inf");
	print(text, "%" PRIu64 "\n", below);
	put_head(text, "_count", labels, NULL);
	print(text, "%" PRIu64 "\n", below);
	put_head(text, "_sum", labels, NULL);
	put_scaled(text, sum_ns, NS_PER_S);
}

int infini_metrics_end(struct infini_metrics_text *text)
{
	if (!text->prometheus)
		puts_to(text, "# EOF\n");
	if (!text->failed)
		return 0;
	free(text->data);
	text->data = NULL;
	text->length = 0;
	return -ENOMEM;
}
