// SPDX-License-Identifier: GPL-2.0-or-later
/* What infinid tells of energy, from a process that answers as infinid does, or does not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "infini-admin.h"

#define HEAD		"HTTP/1.0 200 OK\r\nContent-Type: application/openmetrics-text\r\n\r\n" \
			"# TYPE infini_device_energy_joules counter\n"
#define VALUE(_device, _joules) \
	"infini_device_energy_joules_total{device=\"" _device "\",source=\"rapl\"} " _joules "\n"
#define NAME_32		"a2345678901234567890123456789012"

struct energy_case {
	const char *name;
	const char *answer;
	int want;
	size_t nr;
	const char *device;	/* the first one */
	uint64_t uj;
};

static const struct energy_case energy_cases[] = {
	{ "a device", HEAD VALUE("cpu0", "12.500003") "# EOF\n", 0, 1, "cpu0", 12500003 },
	{ "whole joules", HEAD VALUE("cpu0", "12") "# EOF\n", 0, 1, "cpu0", 12000000 },
	{ "few decimals", HEAD VALUE("cpu0", "0.05") "# EOF\n", 0, 1, "cpu0", 50000 },
	{ "two devices", HEAD VALUE("gpu0", "7") VALUE("cpu0", "1"), 0, 2, "gpu0", 7000000 },
	{ "nothing that is measured", "HTTP/1.0 200 OK\r\n\r\n# EOF\n", 0, 0, NULL, 0 },
	{ "no number", HEAD VALUE("cpu0", "many"), 0, 0, NULL, 0 },
	{ "a name too long", HEAD VALUE(NAME_32, "1"), 0, 0, NULL, 0 },
	{ "an infinid of old", "HTTP/1.0 404 Not Found\r\n\r\ninfinid has only /metrics\n", -EPROTO,
	  0, NULL, 0 },
	{ "nothing", "", -EPROTO, 0, NULL, 0 },
};

static char path[] = "/tmp/infini-energy-XXXXXX";

/* A process that answers one request. */
static pid_t serve(const char *answer)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t child;

	unlink(path);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	child = fork();
	if (!child) {
		char request[256];
		int one = accept(fd, NULL, NULL);
		ssize_t got = read(one, request, sizeof(request));

		if (got > 0 && !strncmp(request, "GET /metrics/energy ", 20))
			got = write(one, answer, strlen(answer));
		_exit(got < 0);
	}
	close(fd);
	return child;
}

static void test_answer(void **state)
{
	const struct energy_case *c = *state;
	struct infini_admin_energy energy[4];
	pid_t child = serve(c->answer);
	size_t nr;

	assert_int_equal(infini_admin_energy_read(path, energy, 4, &nr), c->want);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(nr, c->nr);
	if (!c->nr)
		return;
	assert_string_equal(energy[0].device, c->device);
	assert_int_equal(energy[0].uj, c->uj);
}

static void test_nobody(void **state)
{
	struct infini_admin_energy energy[4];
	char long_path[200];
	size_t nr = 1;

	(void)state;
	unlink(path);
	assert_int_equal(infini_admin_energy_read(path, energy, 4, &nr), -ENOENT);
	assert_int_equal(nr, 0);
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(infini_admin_energy_read(long_path, energy, 4, &nr), -ENAMETOOLONG);
}

int main(void)
{
	enum { NR = sizeof(energy_cases) / sizeof(*energy_cases) };
	static struct CMUnitTest tests[NR + 1];
	int failed;

	for (size_t i = 0; i < NR; i++) {
		tests[i].name = energy_cases[i].name;
		tests[i].test_func = test_answer;
		tests[i].initial_state = (void *)&energy_cases[i];
	}
	tests[NR].name = "nobody there";
	tests[NR].test_func = test_nobody;
	if (mkstemp(path) < 0)
		return 1;
	failed = cmocka_run_group_tests_name("energy", tests, NULL, NULL);
	unlink(path);
	return failed;
}
