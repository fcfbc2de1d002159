/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metric families as text: OpenMetrics 1.0, or the older text format of Prometheus. */
#ifndef INFINI_DAEMON_METRICS_TEXT_H
#define INFINI_DAEMON_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum infini_metric_type {
	INFINI_METRIC_COUNTER,
	INFINI_METRIC_GAUGE,
	INFINI_METRIC_HISTOGRAM,
	INFINI_METRIC_INFO,
};

struct infini_metric_family {
	const char *name;		/* without _total, _info; ends with _@unit if there is one */
	enum infini_metric_type type;
	const char *unit;		/* or NULL */
	const char *help;
};

struct infini_metric_label {
	const char *name;		/* NULL ends a list */
	const char *value;
};

struct infini_metrics_text {
	bool prometheus;		/* the older format */
	bool failed;			/* no memory: the text is not complete */
	char *data;
	size_t length;
	size_t room;
	const struct infini_metric_family *family;	/* of the next values */
};

/* Its head; its values follow. */
void infini_metrics_family(struct infini_metrics_text *text,
			   const struct infini_metric_family *family);

/* A value of the family begun last. */
void infini_metrics_u64(struct infini_metrics_text *text, const struct infini_metric_label *labels,
			uint64_t value);
/* @value / @scale, exact: @scale is a power of ten. */
void infini_metrics_scaled(struct infini_metrics_text *text,
			   const struct infini_metric_label *labels, uint64_t value,
			   uint64_t scale);

/*
 * A histogram of nanoseconds with buckets as in infini_hist_quantile(), in seconds, one bucket to
 * an octave: waits of exactly a bound, in ns, count above it.
 */
void infini_metrics_hist(struct infini_metrics_text *text,
			 const struct infini_metric_label *labels, const uint64_t *hist,
			 uint64_t sum_ns);

/* Nothing follows. 0, or -ENOMEM with nothing left to free. */
int infini_metrics_end(struct infini_metrics_text *text);

#endif /* INFINI_DAEMON_METRICS_TEXT_H */
