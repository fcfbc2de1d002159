// SPDX-License-Identifier: GPL-2.0-or-later
/* What infinitop says a token costs, from looks at an infinid that the test moves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "top_energy.h"

static uint64_t uj;
static int failing;
static struct infini_admin_device device = { .name = "cpu0" };
static struct top_energy energy;

int infini_admin_energy_read(const char *path, struct infini_admin_energy *list, size_t room,
			     size_t *nr)
{
	assert_string_equal(path, "/socket");
	assert_true(room > 0);
	*nr = failing ? 0 : 1;
	strcpy(list->device, "cpu0");
	list->uj = uj;
	return failing;
}

/* The device has been held for so long in all, and has used so much. */
static void look(uint64_t occupancy_ns, uint64_t now_uj)
{
	device.occupancy_ns = occupancy_ns;
	uj = now_uj;
	top_energy_look(&energy, &device, 1);
}

static int start(void **state)
{
	(void)state;
	failing = 0;
	memset(&energy, 0, sizeof(energy));
	energy.socket = "/socket";
	return 0;
}

static void test_by_how_long_it_was_held(void **state)
{
	(void)state;
	look(1000, 5000000);
	look(1400, 9000000);
	/* 4 J over 400 ns: three quarters of them for 30 tokens, a quarter for one. */
	assert_true(top_energy_joules(&energy, "cpu0", 300, 30) == 0.1);
	assert_true(top_energy_joules(&energy, "cpu0", 100, 1) == 1);
	/* More than all, because the looks are not of one moment. */
	assert_true(top_energy_joules(&energy, "cpu0", 500, 4) == 1);
}

static void test_not_known(void **state)
{
	(void)state;
	look(1000, 5000000);
	assert_true(top_energy_joules(&energy, "cpu0", 300, 30) == 0);
	look(1400, 9000000);
	assert_true(top_energy_joules(&energy, "cpu0", 300, 0) == 0);
	assert_true(top_energy_joules(&energy, "gpu0", 300, 30) == 0);
	look(1400, 9500000);
	assert_true(top_energy_joules(&energy, "cpu0", 0, 30) == 0);
}

/* What was used meanwhile is not known, and the next look begins anew. */
static void test_infinid_started_again(void **state)
{
	(void)state;
	look(1000, 5000000);
	look(1400, 1000000);
	assert_true(top_energy_joules(&energy, "cpu0", 300, 30) == 0);
	look(1800, 2000000);
	assert_true(top_energy_joules(&energy, "cpu0", 400, 10) == 0.1);
	failing = -ECONNREFUSED;
	look(2200, 3000000);
	assert_true(top_energy_joules(&energy, "cpu0", 400, 10) == 0);
	failing = 0;
	look(2600, 4000000);
	assert_true(top_energy_joules(&energy, "cpu0", 400, 10) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_by_how_long_it_was_held, start),
		cmocka_unit_test_setup(test_not_known, start),
		cmocka_unit_test_setup(test_infinid_started_again, start),
	};

	return cmocka_run_group_tests_name("energy", tests, NULL, NULL);
}
