// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A child that is born in a control group, in two steps: what clone3(2) makes, the C library does not know of, and
 * would go on with the number of another thread. So that one only forks, which its child inherits the group by,
 * and ends.
 */
#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int unshare(int flags);		/* sched.h does not go with linux/sched.h */

/* 0 in the child; the one between does not return. */
static pid_t fork_between(int namespaces, int told)
{
	pid_t pid = namespaces && unshare(namespaces) ? -1 : fork();

	if (!pid)
		return 0;
	if (write(told, &pid, sizeof(pid)) != sizeof(pid) && pid > 0)
		kill(pid, SIGKILL);
	_exit(0);
}

int infini_fork_adopt(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ? -errno : 0;
}

pid_t infini_fork_into(int cgroup, int namespaces)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t between, pid = -1;
	int ends[2];

	if (cgroup >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	if (pipe2(ends, O_CLOEXEC))
		return -1;
	between = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (!between) {
		close(ends[0]);
		fork_between(namespaces, ends[1]);
		close(ends[1]);
		return 0;
	}
	close(ends[1]);
	if (between > 0) {
		if (read(ends[0], &pid, sizeof(pid)) != sizeof(pid))
			pid = -1;
		waitpid(between, NULL, 0);
	}
	close(ends[0]);
	return pid;
}
