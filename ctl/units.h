/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers, sizes and times as people type and read them. */
#ifndef INFINI_CTL_UNITS_H
#define INFINI_CTL_UNITS_H

#include <stdint.h>

/*
 * 0, -EINVAL not a number, -EDOM not a unit (or none where one is needed), -ERANGE too large.
 * The value is set on success only.
 */
int infini_number_parse(const char *text, uint64_t *value);
int infini_bytes_parse(const char *text, uint64_t *bytes);
int infini_mode_parse(const char *text, uint32_t *mode);
/* Parts per million of a percentage, -EDOM without its sign. */
int infini_percent_parse(const char *text, uint32_t *ppm);
/* A number without a unit counts in @plain_ns; 0 asks for a unit. */
int infini_duration_parse(const char *text, uint64_t plain_ns, uint64_t *ns);

/* A short text by value, so that it can stand in an argument list. */
struct infini_text {
	char s[32];
};

struct infini_text infini_bytes_text(uint64_t bytes);
struct infini_text infini_duration_text(uint64_t ns);
struct infini_text infini_percent_text(uint32_t ppm);

/* limits.c: "none" for what is none. */
struct infini_text infini_cap_text(uint32_t cap_ppm);
struct infini_text infini_floor_text(uint32_t floor_ppm);
struct infini_text infini_rate_text(uint64_t tokens_per_s);

#endif /* INFINI_CTL_UNITS_H */
