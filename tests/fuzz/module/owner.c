// SPDX-License-Identifier: GPL-2.0-or-later
/* The owner of the devices: brings them, takes them away, starts and kills executors. */
#include <errno.h>
#include <fcntl.h>
#include <linux/infini.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"

static int control, devices[DEVICES];
static pid_t executors[VDEVS];
static unsigned int started;

static void device_kinds(struct infini_memory_kind *kinds)
{
	memset(kinds, 0, 3 * sizeof(*kinds));
	strcpy((char *)kinds[0].name, "CPU");
	kinds[0].flags = INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE;
	kinds[0].alignment = 64;
	strcpy((char *)kinds[1].name, "Held");
	kinds[1].alignment = 256;
	strcpy((char *)kinds[2].name, "Small");
	kinds[2].flags = INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_WEIGHTS;
	kinds[2].alignment = 1;
	kinds[2].max_bytes = 65536;
}

static void device_register(unsigned int index)
{
	struct infini_memory_kind kinds[3];
	struct infini_device_register arg = {
		.device_class = INFINI_CLASS_CPU,
		.level = INFINI_LEVEL_SEGMENT,
		.slots = 1 + index,
		.nr_kinds = ARRAY_SIZE(kinds),
		.memory_bytes = 64 << 20,
		.kinds = (uintptr_t)kinds,
		.kinds_stride = sizeof(kinds[0]),
		.backend = "null",
		.description = "a device that is a fuzzer's",
	};

	device_kinds(kinds);
	if (one_in(16))
		mangle(kinds, sizeof(kinds));
	snprintf((char *)arg.name, sizeof(arg.name), "fuzz%u", index);
	if (call_ioctl(CALL_DEVICE_REGISTER, control, INFINI_IOC_DEVICE_REGISTER, &arg,
		       sizeof(arg)))
		return;
	/* Mangled, it may have been another device, which goes again at once. */
	if (memcmp(arg.name, "fuzz", 4) || arg.slots != 1 + index || devices[index] > 0)
		CALL(CALL_CLOSE, close(arg.fd));
	else
		devices[index] = arg.fd;
}

static void device_close(unsigned int index)
{
	if (devices[index] > 0 && one_in(2))
		end_reason(devices[index]);
	if (devices[index] > 0)
		CALL(CALL_CLOSE, close(devices[index]));
	devices[index] = 0;
}

static void executor_start(unsigned int index)
{
	struct infini_executor_create arg = { .vdev_id = shared->vdevs[index] };
	unsigned int device;
	pid_t pid;

	if (executors[index] || !arg.vdev_id)
		return;
	device = random_below(DEVICES);
	if (call_ioctl(CALL_EXECUTOR_CREATE, devices[device], INFINI_IOC_EXECUTOR_CREATE, &arg,
		       sizeof(arg)))
		return;
	/* Created and never attached. */
	if (one_in(16)) {
		close(arg.fd);
		return;
	}
	pid = process_fork(PROCESS_OWNER);
	if (!pid) {
		for (device = 0; device < DEVICES; device++)
			if (devices[device] > 0)
				close(devices[device]);
		executor_run(arg.fd, index, started);
	}
	close(arg.fd);
	if (pid > 0) {
		executors[index] = pid;
		started++;
		shared->executors++;
	}
}

static void executors_reap(void)
{
	unsigned int i;
	int status;

	for (i = 0; i < VDEVS; i++) {
		if (!executors[i] || waitpid(executors[i], &status, WNOHANG) != executors[i])
			continue;
		executors[i] = 0;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			shared->executors_killed++;
	}
}

static void executor_kill(void)
{
	pid_t pid = executors[random_below(VDEVS)];
	int32_t left = shared->executor_kills;

	if (pid && left > 0 && atomic_compare_exchange_strong(&shared->executor_kills, &left,
							      left - 1))
		kill(pid, SIGKILL);
}

void owner_run(unsigned int turn)
{
	struct timespec pause = { .tv_nsec = 500000 };
	unsigned int i;

	actor_begin(ACTOR_OWNER, turn);
	control = open("/dev/infini", O_RDWR | O_CLOEXEC);
	if (control < 0)
		_exit(1);
	started = turn * 16;
	while (!shared->stop) {
		for (i = 0; i < DEVICES; i++)
			if (devices[i] <= 0 || one_in(512))
				device_register(i);
		executors_reap();
		executor_start(random_below(VDEVS));
		executor_kill();
		if (one_in(1024))
			device_close(random_below(DEVICES));
		/* Whoever gets a device keeps it online, and the next owner out. */
		if (one_in(4096))
			send_fd(one_in(2) ? control : devices[random_below(DEVICES)]);
		nanosleep(&pause, NULL);
	}
	_exit(0);
}
