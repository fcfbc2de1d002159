/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned tables for people. */
#ifndef INFINI_CTL_TABLE_H
#define INFINI_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * @columns: heads; a '>' before one puts its cells at the right edge, as numbers want it
 * @failed: a cell found no memory
 */
struct infini_table {
	const char *const *columns;
	size_t nr_columns;
	char **cells;
	size_t nr_cells;
	bool failed;
};

#define INFINI_TABLE(_columns)						\
	{ .columns = (_columns), .nr_columns = sizeof(_columns) / sizeof(*(_columns)) }

/* The next cell, row by row. */
void infini_table_cell(struct infini_table *table, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Print with the heads and free the cells. 0 or -ENOMEM. */
int infini_table_print(struct infini_table *table, FILE *out);

#endif /* INFINI_CTL_TABLE_H */
