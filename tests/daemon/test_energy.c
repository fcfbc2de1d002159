// SPDX-License-Identifier: GPL-2.0-or-later
/* Energy: each reader against a sysfs or a library of the test's own, and exact division. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "energy.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GPU	"0000:03:00.0"

static char root[] = "/tmp/infinid-energy-XXXXXX";
static char nvml[PATH_MAX];
static struct infini_energy_where where = { .sysfs = root, .nvml = nvml };
static struct infini_energy energy;
static char why[128];

/* With the folders that it needs. */
static void put(const char *file, const char *text)
{
	char path[PATH_MAX], *slash;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", root, file);
	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
	(void)info;
	(void)type;
	return at->level ? remove(path) : 0;
}

static int start(void **state)
{
	(void)state;
	infini_energy_clear(&energy);
	unsetenv("FAKE_NVML_MJ");
	unsetenv("FAKE_NVML_BROKEN");
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put_package(unsigned int n, const char *name, const char *uj)
{
	char file[64];

	snprintf(file, sizeof(file), "class/powercap/intel-rapl:%u/name", n);
	put(file, name);
	snprintf(file, sizeof(file), "class/powercap/intel-rapl:%u/max_energy_range_uj", n);
	put(file, "262143328850\n");
	snprintf(file, sizeof(file), "class/powercap/intel-rapl:%u/energy_uj", n);
	put(file, uj);
}

static struct infini_energy_meter *add_cpu(void)
{
	return infini_energy_add(&energy, &where, "cpu0", INFINI_CLASS_CPU, "", why, sizeof(why));
}

static struct infini_energy_meter *add_gpu(const char *pci)
{
	return infini_energy_add(&energy, &where, "vulkan0", INFINI_CLASS_GPU, pci, why,
				 sizeof(why));
}

/* ---- processors -------------------------------------------------------------------- */

static void rapl_adds_packages_and_nothing_else(void **state)
{
	struct infini_energy_meter *meter;

	(void)state;
	put_package(0, "package-0\n", "1000\n");
	put_package(1, "package-1\n", "5000\n");
	put_package(2, "psys\n", "7\n");
	put("class/powercap/intel-rapl:0:0/name", "core\n");
	put("class/powercap/intel-rapl:0:0/energy_uj", "9\n");
	meter = add_cpu();
	assert_non_null(meter);
	assert_string_equal(meter->ops->name, "rapl");
	put_package(0, "package-0\n", "1500\n");
	put_package(1, "package-1\n", "5030\n");
	put_package(2, "psys\n", "999999\n");
	put("class/powercap/intel-rapl:0:0/energy_uj", "99999\n");
	assert_int_equal(infini_energy_read(meter), 0);
	assert_int_equal(meter->total_uj, 530);
}

static void rapl_wraps_around(void **state)
{
	struct infini_energy_meter *meter;

	(void)state;
	put_package(0, "package-0\n", "262143328000\n");
	meter = add_cpu();
	assert_non_null(meter);
	put_package(0, "package-0\n", "150\n");
	assert_int_equal(infini_energy_read(meter), 0);
	assert_int_equal(meter->total_uj, 850 + 150);
	put_package(0, "package-0\n", "151\n");
	assert_int_equal(infini_energy_read(meter), 0);
	assert_int_equal(meter->total_uj, 1001);
}

static void failed_reading_is_made_up_for(void **state)
{
	struct infini_energy_meter *meter;

	(void)state;
	put_package(0, "package-0\n", "10\n");
	put_package(1, "package-1\n", "10\n");
	meter = add_cpu();
	assert_non_null(meter);
	put_package(0, "package-0\n", "20\n");
	put_package(1, "package-1\n", "nonsense\n");
	assert_int_equal(infini_energy_read(meter), -EINVAL);
	assert_true(meter->failing);
	assert_int_equal(meter->total_uj, 0);
	put_package(1, "package-1\n", "15\n");
	assert_int_equal(infini_energy_read(meter), 0);
	assert_false(meter->failing);
	assert_int_equal(meter->total_uj, 15);
}

static void without_a_counter_there_is_no_meter(void **state)
{
	(void)state;
	assert_null(add_cpu());
	assert_string_equal(why, "the processors have no RAPL counter in powercap");
	put_package(0, "psys\n", "1\n");
	assert_null(add_cpu());
	assert_null(infini_energy_find(&energy, "cpu0"));
	assert_int_equal(energy.nr_meters, 0);
}

static void processors_are_counted_once(void **state)
{
	(void)state;
	put_package(0, "package-0\n", "10\n");
	assert_non_null(add_cpu());
	assert_null(infini_energy_add(&energy, &where, "cpu1", INFINI_CLASS_CPU, "", why,
				      sizeof(why)));
	assert_string_equal(why, "that of the processors is counted for cpu0");
}

/* ---- GPUs -------------------------------------------------------------------------- */

static void hwmon_counts_and_may_be_set_back(void **state)
{
	static const char file[] = "bus/pci/devices/" GPU "/hwmon/hwmon3/energy1_input";
	struct infini_energy_meter *meter;

	(void)state;
	put(file, "1000000\n");
	meter = add_gpu(GPU);
	assert_non_null(meter);
	assert_string_equal(meter->ops->name, "hwmon");
	put(file, "3500000\n");
	assert_int_equal(infini_energy_read(meter), 0);
	assert_int_equal(meter->total_uj, 2500000);
	/* The driver was loaded again. */
	put(file, "40\n");
	assert_int_equal(infini_energy_read(meter), 0);
	put(file, "50\n");
	assert_int_equal(infini_energy_read(meter), 0);
	assert_int_equal(meter->total_uj, 2500010);
}

static void hwmon_has_another_number_after_a_replug(void **state)
{
	static const char before[] = "bus/pci/devices/" GPU "/hwmon/hwmon3/energy1_input";
	static const char after[] = "bus/pci/devices/" GPU "/hwmon/hwmon7/energy1_input";
	struct infini_energy_meter *meter;
	char path[PATH_MAX];

	(void)state;
	put(before, "1000000\n");
	meter = add_gpu(GPU);
	assert_non_null(meter);
	snprintf(path, sizeof(path), "%s/%s", root, before);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(infini_energy_read(meter), -ENODEV);
	assert_int_equal(meter->total_uj, 0);
	put(after, "70\n");
	assert_int_equal(infini_energy_read(meter), 0);
	put(after, "100\n");
	assert_int_equal(infini_energy_read(meter), 0);
	assert_int_equal(meter->total_uj, 30);
}

static void nvml_counts(void **state)
{
	struct infini_energy_meter *meter;

	(void)state;
	setenv("FAKE_NVML_MJ", "500", 1);
	meter = add_gpu(GPU);
	assert_non_null(meter);
	assert_string_equal(meter->ops->name, "nvml");
	setenv("FAKE_NVML_MJ", "1750", 1);
	assert_int_equal(infini_energy_read(meter), 0);
	assert_int_equal(meter->total_uj, 1250000);
	unsetenv("FAKE_NVML_MJ");
	assert_int_equal(infini_energy_read(meter), -ENODATA);
	assert_int_equal(meter->total_uj, 1250000);
}

static void gpus_without_a_reading_have_no_meter(void **state)
{
	static char missing[] = "libno-such-nvml.so";
	struct infini_energy_where nowhere = { .sysfs = root, .nvml = missing };

	(void)state;
	assert_null(add_gpu(""));
	assert_string_equal(why, "set pci under [device vulkan0]");
	/* The GPU does not count, NVML does not start, it is another GPU, there is no NVML. */
	assert_null(add_gpu(GPU));
	setenv("FAKE_NVML_MJ", "500", 1);
	setenv("FAKE_NVML_BROKEN", "1", 1);
	assert_null(add_gpu(GPU));
	unsetenv("FAKE_NVML_BROKEN");
	assert_null(add_gpu("0000:04:00.0"));
	assert_string_equal(why, "neither hwmon nor NVML has one for 0000:04:00.0");
	assert_null(infini_energy_add(&energy, &nowhere, "vulkan0", INFINI_CLASS_GPU, GPU, why,
				      sizeof(why)));
	assert_int_equal(energy.nr_meters, 0);
}

/* ---- division ---------------------------------------------------------------------- */

static void division_is_by_largest_remainder(void **state)
{
	uint64_t parts[3];

	(void)state;
	assert_true(infini_energy_divide(10, (uint64_t[]){ 1, 1, 1 }, 3, parts));
	assert_int_equal(parts[0], 4);
	assert_int_equal(parts[1], 3);
	assert_int_equal(parts[2], 3);
	assert_true(infini_energy_divide(10, (uint64_t[]){ 0, 26, 74 }, 3, parts));
	assert_int_equal(parts[0], 0);
	assert_int_equal(parts[1], 3);
	assert_int_equal(parts[2], 7);
	assert_false(infini_energy_divide(10, (uint64_t[]){ 0, 0, 0 }, 3, parts));
	assert_false(infini_energy_divide(10, NULL, 0, NULL));
}

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void parts_add_up_and_are_at_most_one_off(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15, weights[40], parts[40];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t nr = 1 + next(&seed) % 40;
		uint64_t total = next(&seed) >> (24 + next(&seed) % 40), sum = 0;
		long double all = 0;

		for (size_t i = 0; i < nr; i++) {
			weights[i] = next(&seed) >> (next(&seed) % 64);
			all += weights[i];
		}
		if (!infini_energy_divide(total, weights, nr, parts)) {
			assert_true(all == 0);
			continue;
		}
		for (size_t i = 0; i < nr; i++) {
			long double exact = (long double)total * weights[i] / all;

			sum += parts[i];
			assert_true(parts[i] - exact < 1.001L && exact - parts[i] < 1.001L);
			assert_true(weights[i] || !parts[i]);
		}
		assert_int_equal(sum, total);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rapl_adds_packages_and_nothing_else, start),
		cmocka_unit_test_setup(rapl_wraps_around, start),
		cmocka_unit_test_setup(failed_reading_is_made_up_for, start),
		cmocka_unit_test_setup(without_a_counter_there_is_no_meter, start),
		cmocka_unit_test_setup(processors_are_counted_once, start),
		cmocka_unit_test_setup(hwmon_counts_and_may_be_set_back, start),
		cmocka_unit_test_setup(hwmon_has_another_number_after_a_replug, start),
		cmocka_unit_test_setup(nvml_counts, start),
		cmocka_unit_test_setup(gpus_without_a_reading_have_no_meter, start),
		cmocka_unit_test(division_is_by_largest_remainder),
		cmocka_unit_test(parts_add_up_and_are_at_most_one_off),
	};
	const char *dir = getenv("INFINI_TEST_BACKENDS");
	int failed;

	if (!dir || !mkdtemp(root))
		return 1;
	snprintf(nvml, sizeof(nvml), "%s/libnvidia-ml.so.1", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	start(NULL);
	rmdir(root);
	return failed;
}
