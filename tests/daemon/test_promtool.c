// SPDX-License-Identifier: GPL-2.0-or-later
/* Prometheus's own tool reads the metrics and finds nothing to complain about. */
#include "counted.h"
#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static const struct infini_energy_ops source = { .name = "rapl" };

int main(void)
{
	struct infini_metrics_text text = { .prometheus = true };
	static struct infini_energy energy = {
		.nr_meters = 1, .meters[0] = { .ops = &source, .device = "cpu0" },
	};
	struct infini_sample sample;
	FILE *tool;
	int status;

	if (system("command -v promtool >/dev/null 2>&1")) {
		puts("1..0 # SKIP there is no promtool; Debian has it in the package prometheus");
		return 77;
	}
	counted_fill();
	counted.vdevs[0].nr_client_cgroups = 1;
	counted.vdevs[0].client_cgroups[0] = 1;
	counted.groups[0] = "/a\"\\b\n\377-"
			    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	if (infini_sample_take(&sample, NULL))
		return 1;
	infini_metrics_render(&text, &sample, &energy);
	infini_sample_free(&sample);
	if (infini_metrics_end(&text))
		return 1;
	tool = popen("promtool check metrics 2>&1", "w");
	if (!tool || fwrite(text.data, 1, text.length, tool) != text.length)
		return 1;
	free(text.data);
	status = pclose(tool);
	puts("1..1");
	printf("%s 1 - promtool_accepts_the_metrics\n", status ? "not ok" : "ok");
	return !WIFEXITED(status) || WEXITSTATUS(status);
}
