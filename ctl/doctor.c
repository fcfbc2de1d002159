// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl doctor */
#include <stdio.h>
#include <stdlib.h>

#include "doctor.h"
#include "json.h"
#include "table.h"

static const char *const health_words[] = {
	[INFINI_HEALTH_OK] = "ok", [INFINI_HEALTH_WARNING] = "warning", [INFINI_HEALTH_WRONG] = "wrong",
};

/* What cannot be asked is a finding, not a failure. */
static void ask(struct infini_ctl *ctl, struct infini_patient *patient)
{
	patient->connect_err = infini_admin_open(&ctl->admin);
	if (!patient->connect_err)
		patient->connect_err = infini_devices_list(ctl, &patient->devices);
	if (!patient->connect_err)
		patient->connect_err = infini_vdevs_list(ctl, &patient->vdevs);
}

static int print_json(struct infini_ctl *ctl, const struct infini_finding *findings)
{
	struct json_object *array = json_object_new_array(), *row;

	for (size_t i = 0; infini_checks[i].name; i++) {
		row = json_object_new_object();
		infini_json_set_string(row, "check", infini_checks[i].name);
		infini_json_set_string(row, "health", health_words[findings[i].health]);
		infini_json_set_string(row, "found", findings[i].found);
		infini_json_set_string(row, "advice", findings[i].advice);
		json_object_array_add(array, row);
	}
	return infini_json_print(ctl, array);
}

static int print_table(struct infini_ctl *ctl, const struct infini_finding *findings)
{
	static const char *const columns[] = { "CHECK", "HEALTH", "FOUND" };
	struct infini_table table = INFINI_TABLE(columns);

	for (size_t i = 0; infini_checks[i].name; i++) {
		infini_table_cell(&table, "%s", infini_checks[i].name);
		infini_table_cell(&table, "%s", health_words[findings[i].health]);
		infini_table_cell(&table, "%s", findings[i].found);
	}
	if (infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	for (size_t i = 0; infini_checks[i].name; i++)
		if (findings[i].advice[0])
			printf("\n%s: %s\n", infini_checks[i].name, findings[i].advice);
	return 0;
}

static int examine(struct infini_ctl *ctl, const struct infini_patient *patient, bool json)
{
	struct infini_finding findings[16] = { 0 };
	unsigned int wrong = 0;
	int status;

	for (size_t i = 0; infini_checks[i].name; i++) {
		infini_checks[i].look(patient, &findings[i]);
		wrong += findings[i].health == INFINI_HEALTH_WRONG;
	}
	status = json ? print_json(ctl, findings) : print_table(ctl, findings);
	if (!status && wrong)
		status = infini_fail(ctl, INFINI_EXIT_FAILURE, "%u of these %s to be put right", wrong,
				     wrong == 1 ? "has" : "have");
	return status;
}

static int infini_doctor(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ NULL, 0, NULL, 0 }
	};
	struct infini_patient patient = { .root = "", .run_dir = "/run/infini" };
	bool json = false;
	int option, status;

	while ((option = infini_options_next(ctl, argc, argv, options)) != INFINI_OPTIONS_END) {
		if (option == INFINI_OPTIONS_FAILED)
			return INFINI_EXIT_USAGE;
		if (option == INFINI_OPTION_HELP)
			return infini_help_print(ctl);
		if (option == 'j')
			json = true;
		else
			patient.run_dir = optarg;
	}
	status = infini_options_words(ctl, argc, 0, "nothing");
	if (status)
		return status;
	ask(ctl, &patient);
	status = examine(ctl, &patient, json);
	free(patient.devices.device);
	free(patient.vdevs.vdev);
	return status;
}

const struct infini_command infini_doctor_command = {
	.name = "doctor",
	.args = "[--json] [--run-dir DIR]",
	.summary = "look whether this machine has all that Infini needs, and say what to do",
	.help =
	"Looks at the kernel, the module, BTF, Landlock, cgroups, permissions, infinid, devices and what\n"
	"container runtimes know, in the order in which one needs the other: begin with the first that\n"
	"is wrong. A warning is something that not everybody needs. Runs for everybody, and says more to\n"
	"root. Exit status 1 when something is wrong.\n"
	"\n"
	"  --json         as JSON: check, health (ok, warning, wrong), found, advice\n"
	"  --run-dir DIR  run_dir of infinid.conf (default /run/infini)\n",
	.run = infini_doctor,
};
