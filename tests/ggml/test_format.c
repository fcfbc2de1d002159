// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * docs/program-format.md has the table of operations that the code has: no row less, none more.
 *
 *	test_format [--print]	the table, to be put there
 */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/backends/ggml_rules.h"

#define DOCUMENT	"../../docs/program-format.md"
#define ROW_BYTES	160

/* The numbers of the bits of @mask. */
static void append_numbers(char *row, uint16_t mask)
{
	const char *between = "";
	int i;

	for (i = 0; i < GGML_MAX_SRC; i++) {
		if (!(mask & 1 << i))
			continue;
		sprintf(row + strlen(row), "%s%d", between, i);
		between = " ";
	}
	strcat(row, " | ");
}

/* As the document says it; sources of one element stand for all. */
static void append_contents(char *row, enum ggml_op op)
{
	static const char *const contents[] = {
		[INFINI_GGML_CONTENT_FREE] = "", [INFINI_GGML_CONTENT_INDEX] = "%d: indices",
		[INFINI_GGML_CONTENT_ORDERED] = "%d: no NaN",
	};
	struct ggml_tensor one = { .ne = { 1, 1, 1, 1 } }, t = { .op = op, .ne = { 1, 1, 1, 1 } };
	struct infini_ggml_demand demand;
	int i;

	for (i = 0; i < GGML_MAX_SRC; i++)
		t.src[i] = &one;
	demand = infini_ggml_rule_demand(&t);
	sprintf(row + strlen(row), contents[demand.content], demand.src);
	strcat(row, " |");
}

static void row_make(char *row, enum ggml_op op)
{
	const struct infini_ggml_rule *rule = infini_ggml_rule_get(op);

	sprintf(row, "| `%s` | ", ggml_op_name(op));
	append_numbers(row, rule->need);
	append_numbers(row, rule->may);
	append_numbers(row, rule->empty);
	append_numbers(row, rule->writes);
	append_contents(row, op);
}

static char *document(void)
{
	FILE *file = fopen(DOCUMENT, "r");
	char *text = calloc(1, 1 << 20);

	if (!file || !text || !fread(text, 1, (1 << 20) - 1, file)) {
		perror(DOCUMENT);
		exit(1);
	}
	fclose(file);
	return text;
}

/* Lines of @text that begin like a row of an operation. */
static unsigned int rows_of(const char *text)
{
	unsigned int nr = 0;

	while ((text = strstr(text, "\n| `"))) {
		nr++;
		text++;
	}
	return nr;
}

int main(int argc, char **argv)
{
	bool print = argc == 2 && !strcmp(argv[1], "--print");
	char *text = print ? NULL : document(), row[ROW_BYTES], line[ROW_BYTES + 2];
	unsigned int nr = 0;
	int op;

	for (op = 0; op < GGML_OP_COUNT; op++) {
		if (!infini_ggml_rule_get(op))
			continue;
		row_make(row, op);
		nr++;
		if (print) {
			puts(row);
			continue;
		}
		snprintf(line, sizeof(line), "\n%s\n", row);
		if (!strstr(text, line))
			printf("# missing: %s\n", row);
		CHECK(strstr(text, line));
	}
	if (print)
		return 0;
	row_done("every operation has its row in the document");
	CHECK(rows_of(text) == nr);
	row_done("and the document no other");
	free(text);
	return tests_done();
}
