// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker of one device loads that device's library and no other chip's; where the library is not known any
 * more, it finds the device as the probe did.
 */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct infini_backend_ops *ops = &infini_backend_ops;

struct shared {
	struct infini_backend_device cpu;
	bool opened, knows_others;
};

static struct shared *shared;

static void no_message(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

static int keep_cpu(const struct infini_backend_device *device, void *arg)
{
	(void)arg;
	if (!strcmp(device->name, "cpu0"))
		shared->cpu = *device;
	return 0;
}

/* Each in a process of its own, as what is loaded stays. */
static void probe(const char *library)
{
	(void)library;
	ops->probe(keep_cpu, NULL, no_message);
}

static bool is_mapped(const char *name)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");
	bool found = false;

	while (maps && !found && fgets(line, sizeof(line), maps))
		found = strstr(line, name);
	if (maps)
		fclose(maps);
	return found;
}

static void open_cpu(const char *library)
{
	const struct infini_backend_open open = {
		.device = "cpu0", .pci = "", .library = library, .threads_max = 1, .segment_us = 400,
		.log = no_message,
	};
	struct infini_backend *backend;

	shared->opened = !ops->open(&open, &backend);
	shared->knows_others = is_mapped("libggml-rpc.so") || is_mapped("libggml-vulkan.so");
	if (shared->opened)
		ops->close(backend);
}

static void in_child(void (*act)(const char *library), const char *library)
{
	pid_t pid;
	int status;

	shared->opened = false;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		act(library);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	setenv("VK_LOADER_DRIVERS_DISABLE", "*", 1);
	in_child(probe, NULL);
	CHECK(strstr(shared->cpu.library, "libggml-cpu"));
	row_done("a probe tells the library of a device");
	in_child(open_cpu, shared->cpu.library);
	CHECK(shared->opened && !shared->knows_others);
	row_done("opening a device loads its library alone");
	/* Of a device that an earlier infinid has registered, and after another libggml was installed. */
	in_child(open_cpu, "");
	CHECK(shared->opened && shared->knows_others);
	row_done("where it is not known all are looked through");
	in_child(open_cpu, "/nowhere/libggml-cpu.so");
	CHECK(shared->opened && shared->knows_others);
	row_done("where it has moved all are looked through");
	return tests_done();
}
