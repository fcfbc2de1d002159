// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers, sizes and times as people type and read them. */
#include "units.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FRACTION_DIGITS	9

struct infini_unit {
	const char *name;
	uint64_t scale;
};

/* As lsblk and systemd read them: a bare letter is binary, a B behind it makes it decimal. */
static const struct infini_unit byte_units[] = {
	{ "", 1 },		{ "B", 1 },
	{ "K", 1ull << 10 },	{ "KiB", 1ull << 10 },	{ "KB", 1000ull },
	{ "M", 1ull << 20 },	{ "MiB", 1ull << 20 },	{ "MB", 1000000ull },
	{ "G", 1ull << 30 },	{ "GiB", 1ull << 30 },	{ "GB", 1000000000ull },
	{ "T", 1ull << 40 },	{ "TiB", 1ull << 40 },	{ "TB", 1000000000000ull },
	{ NULL, 0 }
};

static const struct infini_unit time_units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 },
	{ "ms", 1000000 },
	{ "s", 1000000000 },
	{ "min", 60000000000 },
	{ NULL, 0 }
};

/* Digits, perhaps a point and digits. *@fraction counts in 10^-FRACTION_DIGITS. */
static int infini_decimal_parse(const char **text, uint64_t *whole, uint64_t *fraction)
{
	const char *c = *text;
	uint64_t unit = 100000000;

	*whole = 0;
	*fraction = 0;
	if (*c < '0' || *c > '9')
		return -EINVAL;
	for (; *c >= '0' && *c <= '9'; c++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(*c - '0'), whole))
			return -ERANGE;
	if (*c == '.') {
		c++;
		if (*c < '0' || *c > '9')
			return -EINVAL;
		for (; *c >= '0' && *c <= '9'; c++, unit /= 10)
			*fraction += unit * (*c - '0');
	}
	*text = c;
	return 0;
}

static uint64_t infini_unit_find(const struct infini_unit *units, const char *name, int any_case)
{
	for (; units->name; units++)
		if (!strcmp(units->name, name) || (any_case && !strcasecmp(units->name, name)))
			return units->scale;
	return 0;
}

static int infini_scaled(uint64_t whole, uint64_t fraction, uint64_t scale, uint64_t *value)
{
	unsigned __int128 sum = (unsigned __int128)whole * scale +
				(unsigned __int128)fraction * scale / 1000000000;

	if (!scale)
		return -EDOM;
	if (sum > INT64_MAX)
		return -ERANGE;
	*value = sum;
	return 0;
}

int infini_number_parse(const char *text, uint64_t *value)
{
	uint64_t whole, fraction;
	int err = infini_decimal_parse(&text, &whole, &fraction);

	if (err)
		return err;
	if (*text || fraction)
		return -EINVAL;
	*value = whole;
	return 0;
}

int infini_bytes_parse(const char *text, uint64_t *bytes)
{
	uint64_t whole, fraction;
	int err = infini_decimal_parse(&text, &whole, &fraction);

	return err ? err : infini_scaled(whole, fraction, infini_unit_find(byte_units, text, 1),
					 bytes);
}

int infini_duration_parse(const char *text, uint64_t plain_ns, uint64_t *ns)
{
	uint64_t whole, fraction;
	int err = infini_decimal_parse(&text, &whole, &fraction);

	if (err)
		return err;
	return infini_scaled(whole, fraction,
			     *text ? infini_unit_find(time_units, text, 0) : plain_ns, ns);
}

int infini_percent_parse(const char *text, uint32_t *ppm)
{
	uint64_t whole, fraction, value;
	int err = infini_decimal_parse(&text, &whole, &fraction);

	if (!err)
		err = infini_scaled(whole, fraction, strcmp(text, "%") ? 0 : 10000, &value);
	if (!err && value > UINT32_MAX)
		err = -ERANGE;
	if (!err)
		*ppm = value;
	return err;
}

int infini_mode_parse(const char *text, uint32_t *mode)
{
	uint32_t value = 0;

	if (!*text || strspn(text, "01234567") != strlen(text))
		return -EINVAL;
	for (; *text; text++) {
		value = value * 8 + (*text - '0');
		if (value > 07777)
			return -ERANGE;
	}
	*mode = value;
	return 0;
}

/* Three significant digits at the most, and no ".0". */
static struct infini_text infini_scaled_text(double value, const char *unit)
{
	struct infini_text text;
	int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
	size_t len = snprintf(text.s, sizeof(text.s), "%.*f", decimals, value);

	if (strchr(text.s, '.')) {
		while (text.s[len - 1] == '0')
			len--;
		if (text.s[len - 1] == '.')
			len--;
	}
	snprintf(text.s + len, sizeof(text.s) - len, "%s", unit);
	return text;
}

struct infini_text infini_bytes_text(uint64_t bytes)
{
	static const char *const units[] = { "", "K", "M", "G", "T", "P" };
	double value = bytes;
	size_t i = 0;

	while (value >= 1000 && i < sizeof(units) / sizeof(*units) - 1) {
		value /= 1024;
		i++;
	}
	return infini_scaled_text(value, units[i]);
}

/* Exact, unlike the others: what was asked for should be what is shown. */
struct infini_text infini_percent_text(uint32_t ppm)
{
	struct infini_text text;
	size_t len = snprintf(text.s, sizeof(text.s), "%u.%04u", ppm / 10000, ppm % 10000);

	while (text.s[len - 1] == '0')
		len--;
	if (text.s[len - 1] == '.')
		len--;
	snprintf(text.s + len, sizeof(text.s) - len, "%%");
	return text;
}

struct infini_text infini_duration_text(uint64_t ns)
{
	if (ns < 1000)
		return infini_scaled_text(ns, "ns");
	if (ns < 1000000)
		return infini_scaled_text(ns / 1e3, "us");
	if (ns < 1000000000)
		return infini_scaled_text(ns / 1e6, "ms");
	if (ns < 1000000000000)
		return infini_scaled_text(ns / 1e9, "s");
	return infini_scaled_text(ns / 60e9, "min");
}
