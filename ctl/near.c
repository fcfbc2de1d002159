// SPDX-License-Identifier: GPL-2.0-or-later
/* How near two names are: for "did you mean". */
#include <string.h>

#include "ctl.h"

#define NEAR_MAX	64	/* longer words are not near anything */

static size_t infini_least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Distances from this on are not near: a word of one letter has nothing in common with another. */
size_t infini_near_bound(const char *word)
{
	return infini_least(strlen(word), strlen(word) / 3 + 2);
}

/* Optimal string alignment: Damerau and Levenshtein, one swap a place. */
size_t infini_near_distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b), i, j;
	size_t rows[3][NEAR_MAX + 1];

	if (na > NEAR_MAX || nb > NEAR_MAX)
		return na > nb ? na : nb;
	for (j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (i = 1; i <= na; i++) {
		size_t *now = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];

		now[0] = i;
		for (j = 1; j <= nb; j++) {
			now[j] = infini_least(infini_least(last[j], now[j - 1]) + 1,
					      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = infini_least(now[j], before[j - 2] + 1);
		}
	}
	return rows[na % 3][nb];
}
