// SPDX-License-Identifier: GPL-2.0-or-later
/* Aligned tables for people. */
#include "table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void infini_table_cell(struct infini_table *table, const char *fmt, ...)
{
	char **cells = reallocarray(table->cells, table->nr_cells + 1, sizeof(*cells));
	va_list args;
	int len;

	if (!cells) {
		table->failed = true;
		return;
	}
	table->cells = cells;
	va_start(args, fmt);
	len = vasprintf(&cells[table->nr_cells], fmt, args);
	va_end(args);
	if (len < 0)
		table->failed = true;
	else
		table->nr_cells++;
}

static bool infini_table_right(const struct infini_table *table, size_t column)
{
	return *table->columns[column] == '>';
}

static const char *infini_table_head(const struct infini_table *table, size_t column)
{
	return table->columns[column] + infini_table_right(table, column);
}

static int infini_table_width(const struct infini_table *table, size_t column)
{
	size_t width = strlen(infini_table_head(table, column)), i;

	for (i = column; i < table->nr_cells; i += table->nr_columns)
		if (strlen(table->cells[i]) > width)
			width = strlen(table->cells[i]);
	return width;
}

static void infini_table_put(const struct infini_table *table, size_t column, const char *text,
			     FILE *out)
{
	bool last = column + 1 == table->nr_columns;

	if (infini_table_right(table, column))
		fprintf(out, "%*s", infini_table_width(table, column), text);
	else
		fprintf(out, "%-*s", last ? 0 : infini_table_width(table, column), text);
	fputs(last ? "\n" : "  ", out);
}

int infini_table_print(struct infini_table *table, FILE *out)
{
	int err = table->failed ? -ENOMEM : 0;
	size_t i;

	if (!err) {
		for (i = 0; i < table->nr_columns; i++)
			infini_table_put(table, i, infini_table_head(table, i), out);
		for (i = 0; i < table->nr_cells; i++)
			infini_table_put(table, i % table->nr_columns, table->cells[i], out);
	}
	for (i = 0; i < table->nr_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->nr_cells = 0;
	return err;
}
