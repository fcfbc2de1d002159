// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that have a device's backend open and do nothing but fork workers.
 *
 * Supervisor and zygote talk by a socket that keeps messages apart: at first a word when the backend is open, then
 * a birth and the number of who was born, in turns. Whoever loses the other ends it.
 */
#include "zygote.h"

#include "child.h"
#include "clock.h"
#include "fork.h"
#include "loaded.h"
#include "log.h"
#include "probe.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whoever replaces one file may be about to replace others. */
#define REPLACED_NS		(10 * INFINI_NS_PER_S)
#define BACKOFF_FIRST_NS	INFINI_NS_PER_S
#define BACKOFF_MAX_NS		(600 * INFINI_NS_PER_S)
/* A zygote does nothing but answer. */
#define ANSWER_S		2

enum { FILE_EXECUTOR, FILE_GATE, FILE_CGROUP, FILES_MAX };

/* As the only word before the first birth; no process has it for its number. */
#define READY	0

/* And these two for theirs: no worker, for the want of a process; and none from this zygote any more. */
#define CANNOT	(-1)
#define STALE	(-2)

/* Its exit code when there is no use in another one. */
#define UNFIT	3

/* ---- in the zygote ------------------------------------------------------------------ */

/* The number of files that came with @vdev_name, 0 at the end. */
static unsigned int receive(int fd, char vdev_name[static INFINI_NAME_MAX], int *files)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FILES_MAX * sizeof(int))];
	} control;
	struct iovec name = { vdev_name, INFINI_NAME_MAX };
	struct msghdr message = {
		.msg_iov = &name,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	size_t bytes;

	if (got != INFINI_NAME_MAX || !rights || rights->cmsg_type != SCM_RIGHTS)
		return 0;
	vdev_name[INFINI_NAME_MAX - 1] = '\0';
	bytes = rights->cmsg_len - CMSG_LEN(0);
	memcpy(files, CMSG_DATA(rights), bytes);
	return (unsigned int)(bytes / sizeof(int));
}

/* A fork would leave the others behind, with what they hold. */
static bool is_one_thread(void)
{
	struct stat tasks;

	return !stat("/proc/self/task", &tasks) && tasks.st_nlink == 3;
}

/* No longer than a probe may take. */
static void open_device(struct infini_worker *worker, struct infini_loaded *loaded)
{
	size_t before = infini_loaded_count();

	alarm(INFINI_PROBE_TIMEOUT_S);
	if (infini_worker_open(worker))
		_exit(1);
	alarm(0);
	if (!is_one_thread()) {
		infini_info("opening it starts threads, so that workers cannot be forked from who has");
		_exit(UNFIT);
	}
	if (infini_loaded_remember(loaded, before))
		_exit(1);
}

static _Noreturn void be_zygote(struct infini_worker *worker, int fd, pid_t supervisor)
{
	int files[FILES_MAX], word = READY;
	char title[64], name[INFINI_NAME_MAX];
	struct infini_loaded loaded = { 0 };
	unsigned int nr;

	infini_child_signals(SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != supervisor)
		_exit(1);
	snprintf(title, sizeof(title), "infinid: device %s", worker->device);
	infini_child_settle(title, fd);
	infini_log_prefix(title + strlen("infinid: "));
	open_device(worker, &loaded);
	while (send(fd, &word, sizeof(word), 0) == (ssize_t)sizeof(word)) {
		nr = receive(fd, name, files);
		if (nr <= FILE_GATE)
			break;
		word = infini_loaded_is_current(&loaded) ?
		       infini_fork_into(nr > FILE_CGROUP ? files[FILE_CGROUP] : -1, 0) : STALE;
		if (!word) {
			close(fd);
			worker->vdev_name = name;
			worker->executor_fd = files[FILE_EXECUTOR];
			infini_child_pass(files[FILE_GATE]);
			infini_worker_main(worker);
		}
		while (nr)
			close(files[--nr]);
	}
	/* Not exit(): the destructors of vendor libraries have crashed others. */
	_exit(0);
}

/* ---- in the supervisor -------------------------------------------------------------- */

static struct infini_zygote *find(struct infini_zygotes *zygotes, uint32_t device_id, const char *device)
{
	for (uint32_t i = 0; i < zygotes->nr; i++) {
		if (zygotes->all[i].device_id == device_id && !strcmp(zygotes->all[i].device, device))
			return &zygotes->all[i];
	}
	return NULL;
}

static int start(struct infini_zygote *zygote, const struct infini_roster_device *device,
		 const struct infini_config *config)
{
	const struct timeval patience = { .tv_sec = ANSWER_S };
	struct infini_worker worker = infini_worker_on(device, config);
	pid_t pid, self = getpid();
	int ends[2], ret;

	/* A backend that does not find it where it was loads all libraries there are. */
	if (device->library[0] && access(device->library, R_OK))
		return -errno;
	ret = infini_fork_adopt();
	if (ret || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return ret ? ret : -errno;
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	pid = fork();
	if (!pid)
		be_zygote(&worker, ends[1], self);
	ret = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (ret) {
		close(ends[0]);
		return ret;
	}
	zygote->pid = pid;
	zygote->fd = ends[0];
	zygote->ready = false;
	return 0;
}

static void try_later(struct infini_zygote *zygote)
{
	int64_t pause = BACKOFF_FIRST_NS << (zygote->failures < 10 ? zygote->failures : 10);

	zygote->failures++;
	zygote->not_before_ns = infini_clock_ns() + (pause < BACKOFF_MAX_NS ? pause : BACKOFF_MAX_NS);
}

/* It is reaped here, or elsewhere if it has ended by itself. */
static void end(struct infini_zygote *zygote)
{
	if (!zygote->pid)
		return;
	close(zygote->fd);
	kill(zygote->pid, SIGKILL);
	waitpid(zygote->pid, NULL, 0);
	zygote->pid = 0;
}

static bool may_have_one(const struct infini_roster_device *device, const struct infini_config *config)
{
	return config->preload && device && device->forks && !device->remote[0] &&
	       !(device->needs & INFINI_BACKEND_NEEDS_COMPILER);
}

static void forget_others(struct infini_zygotes *zygotes, const struct infini_roster *roster,
			  const struct infini_config *config)
{
	const struct infini_roster_device *device;

	for (uint32_t i = zygotes->nr; i--;) {
		device = infini_roster_find(roster, zygotes->all[i].device_id);
		if (may_have_one(device, config) && !strcmp(device->name, zygotes->all[i].device))
			continue;
		end(&zygotes->all[i]);
		zygotes->all[i] = zygotes->all[--zygotes->nr];
	}
}

void infini_zygotes_tend(struct infini_zygotes *zygotes, const struct infini_roster *roster,
			 const struct infini_config *config)
{
	const struct infini_roster_device *device = roster->devices;
	struct infini_zygote *zygote;
	int ret;

	forget_others(zygotes, roster, config);
	for (; device < roster->devices + roster->nr_devices; device++) {
		if (!may_have_one(device, config))
			continue;
		zygote = find(zygotes, device->id, device->name);
		if (!zygote) {
			zygote = &zygotes->all[zygotes->nr++];
			*zygote = (struct infini_zygote){ .device_id = device->id };
			snprintf(zygote->device, sizeof(zygote->device), "%s", device->name);
		}
		if (zygote->pid || zygote->not_before_ns > infini_clock_ns())
			continue;
		ret = start(zygote, device, config);
		if (!ret)
			continue;
		infini_warn("device %s: no process to fork its workers from: %s", device->name, strerror(-ret));
		try_later(zygote);
	}
}

int64_t infini_zygotes_next_ns(const struct infini_zygotes *zygotes)
{
	int64_t next = INFINI_FOREVER;

	for (uint32_t i = 0; i < zygotes->nr; i++) {
		if (!zygotes->all[i].pid && zygotes->all[i].not_before_ns < next)
			next = zygotes->all[i].not_before_ns;
	}
	return next;
}

static bool send_birth(int fd, const struct infini_zygote_birth *birth)
{
	const int files[FILES_MAX] = { birth->executor_fd, birth->gate_fd, birth->cgroup };
	size_t bytes = (birth->cgroup < 0 ? FILE_CGROUP : FILES_MAX) * sizeof(int);
	char text[INFINI_NAME_MAX] = "";
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(files))];
	} control = { 0 };
	struct iovec name = { text, sizeof(text) };
	struct msghdr message = {
		.msg_iov = &name,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(bytes),
	};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	snprintf(text, sizeof(text), "%s", birth->vdev_name);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(rights), files, bytes);
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(text);
}

static bool hear(const struct infini_zygote *zygote, int *word, int flags)
{
	return recv(zygote->fd, word, sizeof(*word), flags) == (ssize_t)sizeof(*word);
}

pid_t infini_zygotes_fork(struct infini_zygotes *zygotes, uint32_t device_id,
			  const char *device, const struct infini_zygote_birth *birth)
{
	struct infini_zygote *zygote = find(zygotes, device_id, device);
	int word;

	if (!zygote || !zygote->pid)
		return 0;
	if (!zygote->ready)
		zygote->ready = hear(zygote, &word, MSG_DONTWAIT);
	if (!zygote->ready)
		return 0;
	if (!send_birth(zygote->fd, birth) || !hear(zygote, &word, 0))
		word = 0;
	if (word > 0) {
		zygote->failures = 0;
		return word;
	}
	if (word == CANNOT)
		return 0;
	if (word == STALE) {
		infini_info("device %s: what its workers load has been replaced: they start with the new files",
			    zygote->device);
		end(zygote);
		zygote->not_before_ns = infini_clock_ns() + REPLACED_NS;
		return 0;
	}
	/* What it may have forked ends at its gate. */
	infini_warn("device %s: process %ld, which its workers are forked from, does not answer: another one "
		    "takes its place", zygote->device, (long)zygote->pid);
	end(zygote);
	try_later(zygote);
	return 0;
}

bool infini_zygotes_reap(struct infini_zygotes *zygotes, pid_t pid, int status)
{
	struct infini_zygote *zygote = zygotes->all;

	while (zygote < zygotes->all + zygotes->nr && zygote->pid != pid)
		zygote++;
	if (zygote == zygotes->all + zygotes->nr)
		return false;
	close(zygote->fd);
	zygote->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == UNFIT) {
		zygote->not_before_ns = INFINI_FOREVER;
		return true;
	}
	infini_warn("device %s: process %ld, which its workers are forked from, has ended; they start without",
		    zygote->device, (long)pid);
	try_later(zygote);
	return true;
}

void infini_zygotes_end(struct infini_zygotes *zygotes)
{
	for (uint32_t i = 0; i < zygotes->nr; i++)
		end(&zygotes->all[i]);
	zygotes->nr = 0;
}
