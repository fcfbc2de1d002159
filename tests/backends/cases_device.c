// SPDX-License-Identifier: GPL-2.0-or-later
/* What a backend says of itself and of its devices; opening and closing. */
#include "world.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEVICES_MAX	16

struct found {
	struct infini_backend_device devices[DEVICES_MAX];
	uint32_t nr;
	bool stop;
};

static int keep(const struct infini_backend_device *device, void *arg)
{
	struct found *found = arg;

	CHECK(found->nr < DEVICES_MAX, "more than %u devices", DEVICES_MAX);
	found->devices[found->nr++] = *device;
	return found->stop;
}

static void quiet(int priority, const char *message)
{
	(void)priority;
	snprintf(said, sizeof(said), "%s", message);
}

static void names_itself(struct world *world)
{
	CHECK(world->ops->abi == INFINI_BACKEND_ABI, "abi %u", world->ops->abi);
	CHECK(!strcmp(world->ops->name, backend_kit.name), "name \"%s\"", world->ops->name);
	CHECK(world->ops->format == backend_kit.format, "format %u", world->ops->format);
}

static void probes_alike(struct world *world)
{
	static struct found first, second;

	CHECK(!world_probe(world, keep, &first, quiet), "the first probe fails");
	CHECK(!world_probe(world, keep, &second, quiet), "the second probe fails");
	CHECK(first.nr == second.nr, "%u devices, then %u", first.nr, second.nr);
	for (uint32_t i = 0; i < first.nr; i++) {
		const struct infini_backend_device *a = &first.devices[i], *b = &second.devices[i];

		CHECK(!strcmp(a->name, b->name) && !strcmp(a->pci, b->pci),
		      "device %u is \"%s\" and then \"%s\"", i, a->name, b->name);
		CHECK(a->device_class == b->device_class && a->level == b->level &&
		      a->slots == b->slots && a->memory_bytes == b->memory_bytes &&
		      a->nr_kinds == b->nr_kinds &&
		      !memcmp(a->kinds, b->kinds, a->nr_kinds * sizeof(a->kinds[0])),
		      "\"%s\" is described in two ways", a->name);
		for (uint32_t j = 0; j < i; j++)
			CHECK(strcmp(a->name, first.devices[j].name), "two devices \"%s\"",
			      a->name);
	}
}

static void probe_can_be_stopped(struct world *world)
{
	static struct found found = { .stop = true };

	world_probe(world, keep, &found, quiet);
	CHECK(found.nr == 1, "%u devices after the first was enough", found.nr);
}

static bool is_name(const char *name, size_t room)
{
	size_t i;

	for (i = 0; i < room && name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return i && i < room;
}

static bool is_line(const char *text, size_t room)
{
	size_t i;

	for (i = 0; i < room && text[i]; i++)
		if (!isprint((unsigned char)text[i]))
			return false;
	return i && i < room;
}

static bool is_pci(const char *pci)
{
	unsigned int domain, bus, slot, function;
	int end = 0;

	return !pci[0] || (sscanf(pci, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function,
				  &end) == 4 && !pci[end]);
}

static void kinds_make_sense(const struct infini_backend_device *device)
{
	const uint32_t known = INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_WEIGHTS |
			       INFINI_MEMORY_F_FILE;

	CHECK(device->nr_kinds >= 1 && device->nr_kinds <= INFINI_MEMORY_KINDS_MAX,
	      "%u kinds of memory", device->nr_kinds);
	for (uint32_t i = 0; i < device->nr_kinds; i++) {
		const struct infini_memory_kind *kind = &device->kinds[i];
		const char *name = (const char *)kind->name;

		CHECK(is_line(name, sizeof(kind->name)), "kind %u has no name", i);
		for (uint32_t j = 0; j < i; j++)
			CHECK(strcmp(name, (const char *)device->kinds[j].name),
			      "two kinds \"%s\"", name);
		CHECK(!(kind->flags & ~known) && !kind->pad, "kind \"%s\": flags 0x%x, pad %u",
		      name, kind->flags, kind->pad);
		CHECK(!(kind->flags & INFINI_MEMORY_F_FILE) ||
		      kind->flags == (INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE),
		      "kind \"%s\" takes files and is not UNIFIED and plain", name);
		CHECK(kind->alignment && !(kind->alignment & (kind->alignment - 1)),
		      "kind \"%s\": alignment %llu is no power of two", name,
		      (unsigned long long)kind->alignment);
	}
	CHECK(!(device->kinds[0].flags & INFINI_MEMORY_F_WEIGHTS),
	      "kind 0, the default, is for weights");
}

static void device_makes_sense(struct world *world)
{
	const struct infini_backend_device *device = &world->device;

	CHECK(is_name(device->name, sizeof(device->name)), "a name is [A-Za-z0-9._-]+");
	CHECK(is_line(device->description, sizeof(device->description)),
	      "the description is no line of text");
	CHECK(memchr(device->pci, '\0', sizeof(device->pci)) && is_pci(device->pci),
	      "PCI address \"%.16s\"", device->pci);
	CHECK(memchr(device->library, '\0', sizeof(device->library)) &&
	      (!device->library[0] || device->library[0] == '/'), "library \"%.32s\"", device->library);
	CHECK(device->device_class <= INFINI_CLASS_OTHER, "class %u", device->device_class);
	CHECK(device->level >= INFINI_LEVEL_LAUNCH && device->level <= INFINI_LEVEL_INTERRUPT,
	      "level %u", device->level);
	CHECK(device->slots >= 1 && device->slots <= 64, "%u slots", device->slots);
	CHECK(!(device->needs & ~INFINI_BACKEND_NEEDS_COMPILER), "needs 0x%x", device->needs);
	CHECK(device->memory_bytes, "no memory");
	kinds_make_sense(device);
}

static void unknown_device(struct world *world)
{
	struct infini_backend_open open = {
		.device = "no-such-device", .pci = "", .threads_max = 1, .segment_us = 400,
		.remote = remote, .log = quiet,
	};
	struct infini_backend *backend;
	int ret = world->ops->open(&open, &backend);

	CHECK(ret == -ENODEV, "open() returned %d", ret);
}

/* As after another version of it was installed. */
static void library_moved(struct world *world)
{
	strcpy(world->device.library, "/nowhere/library.so");
	world_open(world);
	world_close(world);
}

static void opens_again(struct world *world)
{
	struct job job;

	for (int i = 0; i < 3; i++) {
		world_open(world);
		job_make(world, &job, &backend_kit.programs[0], &world->memories[0]);
		CHECK(!job_run(world, &job, YIELD_NEVER), "run %d", i);
		job_is_right(world, &job);
		job_drop(world, &job);
		world_is_as_before(world);
		world_close(world);
	}
}

static void closes_with_all_in_use(struct world *world)
{
	const struct kit_program *from = &backend_kit.programs[backend_kit.nr_programs - 1];
	struct job job, other;

	world_open(world);
	job_make(world, &job, from, &world->memories[0]);
	job_make(world, &other, from, &world->memories[0]);
	CHECK(job_dispatch(world, &job, YIELD_ALWAYS, 0) >= 0, "it does not run");
	remark("\"%s\" is dropped at segment %llu", from->name,
	       (unsigned long long)job.run.segment);
	/* The worker gives back what it has, programs and buffers in whatever order. */
	job_drop_buffers(world, &job);
	job_drop(world, &other);
	if (world->ops->program_free)
		world->ops->program_free(world->backend, job.program);
	world_is_as_before(world);
	world_close(world);
}

const struct row device_rows[] = {
	{ "says its name, its ABI and its format", names_itself },
	{ "describes its devices alike, twice", probes_alike },
	{ "stops probing when told to", probe_can_be_stopped },
	{ "describes a device that makes sense", device_makes_sense },
	{ "refuses a device that is not there", unknown_device },
	{ "opens a device whose library has moved", library_moved },
	{ "opens, runs and closes three times", opens_again },
	{ "lets go of a program that was preempted and never went on", closes_with_all_in_use },
	{ NULL, NULL },
};
