// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a vdev would go: machines and requests in rows, and all that becomes of every device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "placement.h"

#define MAX	5
#define GIB(n)	((uint64_t)(n) << 30)
#define CPU	INFINI_CLASS_CPU
#define GPU	INFINI_CLASS_GPU
#define NPU	INFINI_CLASS_NPU
#define ANY	INFINI_PLACEMENT_ANY_CLASS
#define PACK	INFINI_PLACEMENT_PACK
#define PERCENT	10000

/* A device; sizes in GiB, floors in percent. */
struct machine_device {
	const char *name;
	uint32_t device_class;
	uint32_t memory, promised, floors, vdevs;
	uint32_t slots;			/* 0: one */
	bool offline, unified;
	const char *vendor, *pci_id, *pools, *description, *backend;
};

/* What each request meets unless a row has its own. */
static const struct machine_device pool[MAX] = {
	{ .name = "vulkan1", .device_class = GPU, .memory = 24, .promised = 12, .vdevs = 1,
	  .vendor = "Advanced Micro Devices, Inc. [AMD/ATI]", .pci_id = "1002:744c", .pools = "lab quick" },
	{ .name = "cpu0", .device_class = CPU, .memory = 64, .promised = 8, .vdevs = 2, .unified = true,
	  .vendor = "GenuineIntel", .pools = "lab" },
	{ .name = "vulkan0", .device_class = GPU, .memory = 8, .promised = 1, .vdevs = 1,
	  .vendor = "NVIDIA Corporation", .pci_id = "10de:2684", .pools = "quick" },
	{ .name = "npu0", .device_class = NPU, .memory = 4, .vendor = "Intel Corporation",
	  .pci_id = "8086:7d1d" },
	{ .name = "remote0", .device_class = GPU, .memory = 80, .promised = 80, .vdevs = 1,
	  .description = "ggml-rpc at 10.0.0.7:50052" },
};

#define FULLEST_FIRST(...) .request = { .order = PACK, __VA_ARGS__ }
#define EMPTIEST_FIRST(...) .request = { __VA_ARGS__ }

/* @want: those that fit, in order, with the percent promised then; "|"; the others and why. */
static const struct row {
	const char *name;
	struct infini_placement_request request;	/* memory in GiB, floor in percent */
	struct machine_device machine[MAX];		/* the pool above where it is empty */
	const char *want;
} rows[] = {
	{ "any class: the emptiest is first", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 2),
	  .want = "cpu0=15 vulkan0=37 npu0=50 vulkan1=58 | remote0:memory" },
	{ "any class, packed: the fullest that fits is first",
	  FULLEST_FIRST(.device_class = ANY, .memory_bytes = 2),
	  .want = "vulkan1=58 npu0=50 vulkan0=37 cpu0=15 | remote0:memory" },
	{ "a gpu", EMPTIEST_FIRST(.device_class = GPU, .memory_bytes = 4),
	  .want = "vulkan0=62 vulkan1=66 | cpu0:class npu0:class remote0:memory" },
	{ "an npu", EMPTIEST_FIRST(.device_class = NPU, .memory_bytes = 4),
	  .want = "npu0=100 | cpu0:class remote0:class vulkan0:class vulkan1:class" },
	{ "a class that no device has", EMPTIEST_FIRST(.device_class = INFINI_CLASS_OTHER, .memory_bytes = 1),
	  .want = "| cpu0:class npu0:class remote0:class vulkan0:class vulkan1:class" },
	{ "memory that the emptiest has not", EMPTIEST_FIRST(.device_class = GPU, .memory_bytes = 8),
	  .want = "vulkan1=83 | cpu0:class npu0:class remote0:memory vulkan0:memory" },
	{ "memory that nobody has", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 100),
	  .want = "| cpu0:memory npu0:memory remote0:memory vulkan0:memory vulkan1:memory" },
	{ "memory that is left to the last byte", EMPTIEST_FIRST(.device_class = GPU, .memory_bytes = 12),
	  .want = "vulkan1=100 | cpu0:class npu0:class remote0:memory vulkan0:memory" },
	{ "overcommitted, what others were promised does not count",
	  EMPTIEST_FIRST(.device_class = GPU, .memory_bytes = 10, .overcommit = true),
	  .want = "vulkan1=91 remote0=112 | cpu0:class npu0:class vulkan0:memory" },
	{ "overcommitted before",
	  EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "a", .memory = 4, .promised = 9 } }, .want = "| a:memory" },

	{ "a backend", EMPTIEST_FIRST(.device_class = CPU, .memory_bytes = 1, .backend = "ggml"),
	  .machine = { { .name = "cl0", .memory = 64, .backend = "opencl" }, { .name = "cpu0", .memory = 8 },
		       { .name = "cl1", .memory = 64, .backend = "opencl", .device_class = GPU } },
	  .want = "cpu0=12 | cl0:backend cl1:class" },
	{ "part of a backend's name", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .backend = "gg"),
	  .machine = { { .name = "cpu0", .memory = 8 } }, .want = "| cpu0:backend" },

	{ "a vendor by a part of its name", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1,
							    .vendor = "nvidia"),
	  .want = "vulkan0=25 | cpu0:vendor npu0:vendor remote0:vendor vulkan1:vendor" },
	{ "a vendor in other letters", EMPTIEST_FIRST(.device_class = GPU, .memory_bytes = 1, .vendor = "aMd"),
	  .want = "vulkan1=54 | cpu0:class npu0:class remote0:vendor vulkan0:vendor" },
	{ "a vendor of two classes", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .vendor = "Intel"),
	  .want = "cpu0=14 npu0=25 | remote0:vendor vulkan0:vendor vulkan1:vendor" },
	{ "a vendor by number", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .vendor = "8086"),
	  .want = "npu0=25 | cpu0:vendor remote0:vendor vulkan0:vendor vulkan1:vendor" },
	{ "a chip by number", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .vendor = "1002:744C"),
	  .want = "vulkan1=54 | cpu0:vendor npu0:vendor remote0:vendor vulkan0:vendor" },
	{ "half a number is no vendor", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .vendor = "100"),
	  .want = "| cpu0:vendor npu0:vendor remote0:vendor vulkan0:vendor vulkan1:vendor" },
	{ "an unknown vendor: by what the device calls itself",
	  EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .overcommit = true, .vendor = "GGML-RPC"),
	  .want = "remote0=101 | cpu0:vendor npu0:vendor vulkan0:vendor vulkan1:vendor" },

	{ "a pool", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .pool = "lab"),
	  .want = "cpu0=14 vulkan1=54 | npu0:pool remote0:pool vulkan0:pool" },
	{ "a gpu of a pool", EMPTIEST_FIRST(.device_class = GPU, .memory_bytes = 1, .pool = "lab"),
	  .want = "vulkan1=54 | cpu0:class npu0:class remote0:pool vulkan0:pool" },
	{ "the second pool of a device", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .pool = "quick"),
	  .want = "vulkan0=25 vulkan1=54 | cpu0:pool npu0:pool remote0:pool" },
	{ "part of a pool's name", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .pool = "la"),
	  .want = "| cpu0:pool npu0:pool remote0:pool vulkan0:pool vulkan1:pool" },
	{ "more than a pool's name", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .pool = "lab quick"),
	  .want = "| cpu0:pool npu0:pool remote0:pool vulkan0:pool vulkan1:pool" },

	{ "unified memory", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1,
					   .kind = INFINI_PLACEMENT_UNIFIED),
	  .want = "cpu0=14 | npu0:kind remote0:kind vulkan0:kind vulkan1:kind" },
	{ "discrete memory", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1,
					    .kind = INFINI_PLACEMENT_DISCRETE),
	  .want = "npu0=25 vulkan0=25 vulkan1=54 | cpu0:kind remote0:memory" },

	{ "off line", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "a", .memory = 8, .offline = true }, { .name = "b", .memory = 2 } },
	  .want = "b=50 | a:offline" },
	{ "off line and of another class: the class is why",
	  EMPTIEST_FIRST(.device_class = GPU, .memory_bytes = 1),
	  .machine = { { .name = "a", .memory = 8, .offline = true } }, .want = "| a:class" },
	{ "off line and full: off line is why", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 9),
	  .machine = { { .name = "a", .memory = 8, .offline = true } }, .want = "| a:offline" },

	{ "a tie is broken by name", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "b", .memory = 8 }, { .name = "c", .memory = 8 }, { .name = "a", .memory = 8 } },
	  .want = "a=12 b=12 c=12 |" },
	{ "packed, a tie is broken by name too", FULLEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "b", .memory = 8 }, { .name = "c", .memory = 8 }, { .name = "a", .memory = 8 } },
	  .want = "a=12 b=12 c=12 |" },
	{ "names with numbers are in order of these", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "gpu10", .memory = 8 }, { .name = "gpu9", .memory = 8 },
		       { .name = "gpu2", .memory = 8, .offline = true }, { .name = "gpu11", .offline = true } },
	  .want = "gpu9=12 gpu10=12 | gpu2:offline gpu11:offline" },
	{ "as full: fewer vdevs before more", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "a", .memory = 8, .promised = 4, .vdevs = 2 },
		       { .name = "b", .memory = 8, .promised = 4, .vdevs = 1 } },
	  .want = "b=62 a=62 |" },
	{ "as full: vdevs count by the slot", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "a", .memory = 8, .promised = 4, .vdevs = 2 },
		       { .name = "b", .memory = 8, .promised = 4, .vdevs = 6, .slots = 4 } },
	  .want = "b=62 a=62 |" },
	{ "packed, as full: more vdevs before fewer", FULLEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "a", .memory = 8, .promised = 4, .vdevs = 1 },
		       { .name = "b", .memory = 8, .promised = 4, .vdevs = 2 } },
	  .want = "b=62 a=62 |" },

	{ "a floor that is left on one", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .floor_ppm = 40),
	  .machine = { { .name = "a", .memory = 8, .floors = 70 }, { .name = "b", .memory = 8, .floors = 60 } },
	  .want = "b=100 | a:floor" },
	{ "floors make a device full as memory does",
	  EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .floor_ppm = 10),
	  .machine = { { .name = "a", .memory = 8, .floors = 60 }, { .name = "b", .memory = 8, .promised = 4 } },
	  .want = "b=62 a=70 |" },
	{ "without a floor all floors may be promised", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1),
	  .machine = { { .name = "a", .memory = 8, .floors = 100 } }, .want = "a=100 |" },
	{ "a floor above one slot", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = 1, .floor_ppm = 60),
	  .machine = { { .name = "a", .memory = 8, .slots = 2 }, { .name = "b", .memory = 8, .floors = 40 } },
	  .want = "b=100 | a:slot" },

	{ "a device without memory", EMPTIEST_FIRST(.device_class = ANY),
	  .machine = { { .name = "a" } }, .want = "| a:memory" },
	{ "memory beyond measure", EMPTIEST_FIRST(.device_class = ANY, .memory_bytes = UINT32_MAX),
	  .want = "| cpu0:memory npu0:memory remote0:memory vulkan0:memory vulkan1:memory" },
};

static void take(const struct machine_device *from, struct infini_admin_device *device,
		 struct infini_placement_candidate *candidate)
{
	memset(device, 0, sizeof(*device));
	snprintf(device->name, sizeof(device->name), "%s", from->name);
	snprintf(device->backend, sizeof(device->backend), "%s", from->backend ? from->backend : "ggml");
	snprintf(device->description, sizeof(device->description), "%s",
		 from->description ? from->description : "a test's");
	device->device_class = from->device_class;
	device->online = !from->offline;
	device->slots = from->slots ? from->slots : 1;
	device->nr_vdevs = from->vdevs;
	device->memory_bytes = GIB(from->memory);
	device->memory_promised_bytes = GIB(from->promised);
	device->floors_ppm = from->floors * PERCENT;
	device->nr_kinds = 1;
	device->kinds[0].flags = from->unified ? INFINI_MEMORY_F_UNIFIED : 0;
	*candidate = (struct infini_placement_candidate){
		.device = device, .vendor = from->vendor, .pci_id = from->pci_id, .pools = from->pools,
		.verdict = INFINI_PLACEMENT_REFUSED, .full_ppm = 77,
	};
}

static void tell(const struct infini_placement_candidate *c, size_t nr, size_t fit, char *text, size_t size)
{
	static const char *const why[] = {
		[INFINI_PLACEMENT_CLASS] = "class", [INFINI_PLACEMENT_BACKEND] = "backend",
		[INFINI_PLACEMENT_VENDOR] = "vendor",
		[INFINI_PLACEMENT_POOL] = "pool", [INFINI_PLACEMENT_KIND] = "kind",
		[INFINI_PLACEMENT_OFFLINE] = "offline", [INFINI_PLACEMENT_SLOT] = "slot",
		[INFINI_PLACEMENT_FLOOR] = "floor", [INFINI_PLACEMENT_MEMORY] = "memory",
	};
	FILE *out = fmemopen(text, size, "w");

	for (size_t i = 0; i < nr; i++) {
		if (i == fit)
			fprintf(out, "%s|", i ? " " : "");
		if (i < fit) {
			assert_int_equal(c[i].verdict, INFINI_PLACEMENT_FITS);
			fprintf(out, "%s%s=%u", i ? " " : "", c[i].device->name, c[i].full_ppm / PERCENT);
		} else {
			assert_int_not_equal(c[i].verdict, INFINI_PLACEMENT_FITS);
			fprintf(out, " %s:%s", c[i].device->name, why[c[i].verdict]);
		}
	}
	if (nr == fit)
		fputs(" |", out);
	fclose(out);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	const struct machine_device *machine = row->machine[0].name ? row->machine : pool;
	struct infini_placement_candidate candidates[MAX];
	struct infini_placement_request request = row->request;
	struct infini_admin_device devices[MAX];
	char got[512];
	size_t nr = 0, fit;

	request.memory_bytes = GIB(request.memory_bytes);
	request.floor_ppm *= PERCENT;
	for (; nr < MAX && machine[nr].name; nr++)
		take(&machine[nr], &devices[nr], &candidates[nr]);
	fit = infini_placement_sort(&request, candidates, nr);
	tell(candidates, nr, fit, got, sizeof(got));
	if (strcmp(got, row->want))
		fail_msg("%s:\n  %s\nwanted\n  %s", row->name, got, row->want);
}

static void no_device_at_all(void **state)
{
	const struct infini_placement_request request = { .device_class = ANY, .memory_bytes = 1 };

	(void)state;
	assert_int_equal(infini_placement_sort(&request, NULL, 0), 0);
}

static void ties_are_told(void **state)
{
	static const struct machine_device machine[] = {
		{ .name = "a", .memory = 8 }, { .name = "b", .memory = 8 },
		{ .name = "c", .memory = 8, .vdevs = 1 },
	};
	const struct infini_placement_request request = { .device_class = ANY, .memory_bytes = GIB(1) };
	struct infini_placement_candidate candidates[3];
	struct infini_admin_device devices[3];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		take(&machine[i], &devices[i], &candidates[i]);
	assert_int_equal(infini_placement_sort(&request, candidates, 3), 3);
	assert_true(infini_placement_tied(&candidates[0], &candidates[1]));
	assert_false(infini_placement_tied(&candidates[1], &candidates[2]));
}

#define NR_ROWS	(sizeof(rows) / sizeof(*rows))

int main(void)
{
	struct CMUnitTest tests[NR_ROWS + 2];

	for (size_t i = 0; i < NR_ROWS; i++)
		tests[i] = (struct CMUnitTest){ rows[i].name, test_row, NULL, NULL, (void *)&rows[i] };
	tests[NR_ROWS] = (struct CMUnitTest)cmocka_unit_test(no_device_at_all);
	tests[NR_ROWS + 1] = (struct CMUnitTest)cmocka_unit_test(ties_are_told);
	return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
