// SPDX-License-Identifier: GPL-2.0-or-later
/* What container runtimes are told: every field known to CDI 0.5.0, whatever the vdevs are called. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "capture.h"
#include "cdi.h"
#include "fake_admin.h"

static char dir[64], file[128], line[640];

static int setup(void **state)
{
	(void)state;
	fake_fill();
	snprintf(dir, sizeof(dir), "/tmp/infini-cdi-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/" INFINI_CDI_FILE, dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake.on_list = NULL;
	unlink(file);
	snprintf(file, sizeof(file), "%s/." INFINI_CDI_FILE ".lock", dir);
	unlink(file);
	return rmdir(dir);
}

/* Libraries that are there in every place that builds this. */
static int generate(void)
{
	snprintf(line, sizeof(line), "cdi generate --dir %s --plugin /proc/self/exe --library %s",
		 dir, "/proc/self/exe");
	return capture_run(line);
}

static struct json_object *read_spec(void)
{
	struct json_object *spec = json_object_from_file(file);

	assert_non_null(spec);
	return spec;
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *found;

	assert_true(json_object_object_get_ex(object, key, &found));
	return found;
}

static const char *text(struct json_object *object, const char *key)
{
	return json_object_get_string(member(object, key));
}

/* Runtimes refuse a file with a field that they do not know. */
static void only(struct json_object *object, const char *known)
{
	json_object_object_foreach(object, key, value) {
		char word[64];

		(void)value;
		snprintf(word, sizeof(word), " %s ", key);
		if (!strstr(known, word))
			fail_msg("a field \"%s\" where CDI 0.5.0 has%s", key, known);
	}
}

static void only_edits(struct json_object *edits)
{
	struct json_object *list;

	only(edits, " env deviceNodes mounts ");
	if (json_object_object_get_ex(edits, "deviceNodes", &list))
		for (size_t i = 0; i < json_object_array_length(list); i++)
			only(json_object_array_get_idx(list, i), " path hostPath fileMode permissions ");
	if (json_object_object_get_ex(edits, "mounts", &list))
		for (size_t i = 0; i < json_object_array_length(list); i++)
			only(json_object_array_get_idx(list, i), " hostPath containerPath options ");
}

static struct json_object *device(struct json_object *spec, const char *name)
{
	struct json_object *devices = member(spec, "devices");

	for (size_t i = 0; i < json_object_array_length(devices); i++) {
		struct json_object *one = json_object_array_get_idx(devices, i);

		if (!strcmp(text(one, "name"), name))
			return one;
	}
	return NULL;
}

static void known_fields_only(void **state)
{
	struct json_object *spec, *devices;

	(void)state;
	assert_int_equal(generate(), 0);
	spec = read_spec();
	only(spec, " cdiVersion kind devices containerEdits ");
	assert_string_equal(text(spec, "cdiVersion"), "0.5.0");
	assert_string_equal(text(spec, "kind"), "infini.dev/vdev");
	only_edits(member(spec, "containerEdits"));
	devices = member(spec, "devices");
	assert_int_equal(json_object_array_length(devices), 4);
	for (size_t i = 0; i < json_object_array_length(devices); i++) {
		struct json_object *one = json_object_array_get_idx(devices, i);

		only(one, " name containerEdits ");
		only_edits(member(one, "containerEdits"));
	}
	json_object_put(spec);
}

static void node(struct json_object *nodes, size_t i, const char *inside, const char *host)
{
	struct json_object *one = json_object_array_get_idx(nodes, i);

	assert_string_equal(text(one, "path"), inside);
	assert_string_equal(text(one, "hostPath"), host);
	assert_string_equal(text(one, "permissions"), "rw");
	assert_int_equal(json_object_get_int(member(one, "fileMode")), 0666);
}

static void a_vdev_by_name_and_by_id(void **state)
{
	static const char *const names[] = { "beta", "2" };
	struct json_object *spec, *edits, *nodes;

	(void)state;
	assert_int_equal(generate(), 0);
	spec = read_spec();
	for (size_t i = 0; i < 2; i++) {
		edits = member(device(spec, names[i]), "containerEdits");
		nodes = member(edits, "deviceNodes");
		assert_int_equal(json_object_array_length(nodes), 2);
		node(nodes, 0, "/dev/infini", "/dev/infini2");
		node(nodes, 1, "/dev/infini2", "/dev/infini2");
		assert_string_equal(json_object_get_string(json_object_array_get_idx(
					    member(edits, "env"), 0)), "INFINI_VDEV=beta");
	}
	json_object_put(spec);
}

static void libraries_are_read_only(void **state)
{
	struct json_object *spec, *edits, *mounts;

	(void)state;
	assert_int_equal(generate(), 0);
	spec = read_spec();
	edits = member(spec, "containerEdits");
	mounts = member(edits, "mounts");
	assert_int_equal(json_object_array_length(mounts), 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(json_object_get_string(json_object_array_get_idx(
					    member(json_object_array_get_idx(mounts, i), "options"),
					    0)), "ro");
	assert_string_equal(json_object_get_string(json_object_array_get_idx(member(edits, "env"),
									     0)),
			    "GGML_BACKEND_PATH=/usr/lib/infini/libggml-infini.so");
	json_object_put(spec);
}

/* A mount of what is not there would stop every container. */
static void a_missing_library_is_left_out(void **state)
{
	struct json_object *spec, *edits;

	(void)state;
	snprintf(line, sizeof(line), "cdi generate --dir %s --plugin /nonexistent --library /none",
		 dir);
	assert_int_equal(capture_run(line), 0);
	spec = read_spec();
	assert_false(json_object_object_get_ex(spec, "containerEdits", &edits));
	json_object_put(spec);
}

/* What the module would never call a vdev, and what it may but CDI does not take. */
static const struct hostile_row {
	const char *name;
	bool named, by_id;
} hostile_rows[] = {
	{ "a.b-c_d", true, true },
	{ "0b", true, true },
	{ "_x", false, true },
	{ "x.", false, true },
	{ "x-", false, true },
	{ "x_", false, true },
	{ "", false, false },
	{ "../../etc", false, false },
	{ "a/b", false, false },
	{ "a\"b", false, false },
	{ "a\\", false, false },
	{ "a\nb", false, false },
	{ "a\x01", false, false },
	{ "a\", \"x\": \"", false, false },
	{ "\xc3\xa4", false, false },
	{ "\xff\xfe", false, false },
	{ "a b", false, false },
	{ "a=b", false, false },
	{ "a,b", false, false },
	{ "%s%n", false, false },
	{ "a:b", false, false },
};

static void a_hostile_name(void **state)
{
	const struct hostile_row *row = *state;
	struct json_object *spec;

	fake.nr_vdevs = 2;
	snprintf(fake.vdevs[1].name, sizeof(fake.vdevs[1].name), "%s", row->name);
	assert_int_equal(generate(), 0);
	spec = read_spec();
	assert_true(device(spec, "alpha") != NULL);
	assert_int_equal(device(spec, row->name) != NULL, row->named);
	assert_int_equal(device(spec, "2") != NULL, row->by_id);
	assert_int_equal(strstr(err, "by id alone") != NULL, row->by_id && !row->named);
	only(spec, " cdiVersion kind devices containerEdits ");
	json_object_put(spec);
}

static void without_a_node_no_device(void **state)
{
	struct json_object *spec;

	(void)state;
	fake.vdevs[0].minor = -1;
	assert_int_equal(generate(), 0);
	spec = read_spec();
	assert_null(device(spec, "alpha"));
	assert_non_null(device(spec, "beta"));
	json_object_put(spec);
}

static void without_a_vdev_no_file(void **state)
{
	(void)state;
	assert_int_equal(generate(), 0);
	fake.nr_vdevs = 0;
	assert_int_equal(generate(), 0);
	assert_non_null(strstr(out, "there is no"));
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(generate(), 0);
}

static void the_same_is_not_written_again(void **state)
{
	struct stat first, second;

	(void)state;
	assert_int_equal(generate(), 0);
	assert_int_equal(stat(file, &first), 0);
	assert_int_equal(first.st_mode & 0777, 0644);
	assert_int_equal(generate(), 0);
	assert_non_null(strstr(out, "as before"));
	assert_int_equal(stat(file, &second), 0);
	assert_int_equal(first.st_ino, second.st_ino);
	fake.vdevs[1].id = 7;
	assert_int_equal(generate(), 0);
	assert_null(strstr(out, "as before"));
}

/* The listing fails half-way: what was there stays whole. */
static void a_failure_leaves_the_file(void **state)
{
	struct json_object *spec;

	(void)state;
	assert_int_equal(generate(), 0);
	fake.list_err = -EIO;
	assert_int_equal(generate(), 1);
	fake.list_err = 0;
	spec = read_spec();
	assert_non_null(device(spec, "beta"));
	json_object_put(spec);
}

/* Put there by somebody who wants root to write elsewhere. */
static void a_link_is_not_followed(void **state)
{
	char link[160], target[160];

	(void)state;
	snprintf(link, sizeof(link), "%s.new", file);
	snprintf(target, sizeof(target), "%s/target", dir);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(symlink(target, file), 0);
	assert_int_equal(generate(), 0);
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(access(link, F_OK), -1);
}

/* Whoever may read the directory may lock it. */
static void a_locked_directory_holds_nobody_up(void **state)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(flock(fd, LOCK_EX), 0);
	alarm(10);
	assert_int_equal(generate(), 0);
	alarm(0);
	close(fd);
}

static void no_directory(void **state)
{
	(void)state;
	assert_int_equal(capture_run("cdi generate --dir /nonexistent/cdi"), 1);
	assert_non_null(strstr(err, "/nonexistent/cdi/infini.dev-vdev.json: No such file"));
}

static void relative_paths_are_refused(void **state)
{
	(void)state;
	assert_int_equal(capture_run("cdi generate --dir cdi"), 2);
	assert_non_null(strstr(err, "--dir cdi: must be an absolute path"));
	assert_int_equal(capture_run("cdi generate --plugin x.so"), 2);
	assert_int_equal(capture_run("cdi generate --library x.so"), 2);
	assert_int_equal(capture_run("cdi remove --dir cdi"), 2);
}

static void remove_says_what_it_did(void **state)
{
	(void)state;
	assert_int_equal(generate(), 0);
	snprintf(line, sizeof(line), "cdi remove --dir %s", dir);
	assert_int_equal(capture_run(line), 0);
	assert_non_null(strstr(out, "removed"));
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(capture_run(line), 0);
	assert_non_null(strstr(out, "was not there"));
}

static void list_tells_ready_from_stale(void **state)
{
	struct json_object *rows;

	(void)state;
	assert_int_equal(generate(), 0);
	fake.vdevs[1].id = 7;
	fake.vdevs[1].minor = 7;
	snprintf(line, sizeof(line), "cdi list --dir %s --json", dir);
	assert_int_equal(capture_run(line), 0);
	rows = json_tokener_parse(out);
	assert_int_equal(json_object_array_length(rows), 4);
	for (size_t i = 0; i < 4; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		bool alpha = !strcmp(text(row, "node"), "/dev/infini1");

		assert_string_equal(text(row, "state"), alpha ? "ready" : "stale");
	}
	json_object_put(rows);
	snprintf(line, sizeof(line), "cdi list --dir %s", dir);
	assert_int_equal(capture_run(line), 0);
	assert_non_null(strstr(out, "infini.dev/vdev=alpha  /dev/infini1  ready"));
}

static void list_of_something_else(void **state)
{
	FILE *other = fopen(file, "w");

	(void)state;
	assert_non_null(other);
	fputs("[ 1, 2 ]", other);
	fclose(other);
	snprintf(line, sizeof(line), "cdi list --dir %s", dir);
	assert_int_equal(capture_run(line), 1);
	assert_non_null(strstr(err, "is no specification of CDI"));
}

#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest plain[] = {
	CASE(known_fields_only),
	CASE(a_vdev_by_name_and_by_id),
	CASE(libraries_are_read_only),
	CASE(a_missing_library_is_left_out),
	CASE(without_a_node_no_device),
	CASE(without_a_vdev_no_file),
	CASE(the_same_is_not_written_again),
	CASE(a_failure_leaves_the_file),
	CASE(a_link_is_not_followed),
	CASE(a_locked_directory_holds_nobody_up),
	CASE(no_directory),
	CASE(relative_paths_are_refused),
	CASE(remove_says_what_it_did),
	CASE(list_tells_ready_from_stale),
	CASE(list_of_something_else),
};

#define NR(array)	(sizeof(array) / sizeof((array)[0]))

int main(void)
{
	struct CMUnitTest tests[NR(plain) + NR(hostile_rows)];
	char names[NR(hostile_rows)][32];

	memcpy(tests, plain, sizeof(plain));
	for (size_t i = 0; i < NR(hostile_rows); i++) {
		snprintf(names[i], sizeof(names[i]), "hostile_name_%zu", i + 1);
		tests[NR(plain) + i] = (struct CMUnitTest){
			.name = names[i],
			.test_func = a_hostile_name,
			.setup_func = setup,
			.teardown_func = teardown,
			.initial_state = (void *)&hostile_rows[i],
		};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
