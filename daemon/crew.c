// SPDX-License-Identifier: GPL-2.0-or-later
/* The workers: who runs, who is wanted, and who has to wait before it is tried again. */
#include "crew.h"

#include "child.h"
#include "clock.h"
#include "fork.h"
#include "log.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <infini.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_NS	(100 * INFINI_NS_PER_MS)
#define BACKOFF_MAX_NS		(10 * INFINI_NS_PER_S)
#define BUSY_RETRY_NS		(100 * INFINI_NS_PER_MS)
/* While all connections to a remote machine are in use. */
#define FULL_RETRY_NS		(500 * INFINI_NS_PER_MS)
/* A worker that lived this long did not crash because of how it was started. */
#define GOOD_LIFE_NS		(30 * INFINI_NS_PER_S)
/* A worker attaches before it loads anything. */
#define ATTACH_NS		(30 * INFINI_NS_PER_S)
/* A member without a worker is forgotten, with its crashes, after this. */
#define FORGET_NS		(60 * INFINI_NS_PER_S)

static struct infini_crew_member *find_vdev(const struct infini_crew *crew, uint32_t vdev_id)
{
	struct infini_crew_member *member = crew->members;

	while (member && member->vdev_id != vdev_id)
		member = member->next;
	return member;
}

static struct infini_crew_member *add_vdev(struct infini_crew *crew, uint32_t vdev_id)
{
	struct infini_crew_member *member = calloc(1, sizeof(*member));

	if (!member)
		return NULL;
	member->vdev_id = vdev_id;
	member->next = crew->members;
	crew->members = member;
	return member;
}

/* By its file: its number may be another's once it has ended. */
static void tell(const struct infini_crew_member *member, int signal)
{
	pidfd_send_signal(member->pidfd, signal, NULL, 0);
}

void infini_crew_want(struct infini_crew *crew, uint32_t vdev_id, uint32_t device_id,
		      const char *name)
{
	struct infini_crew_member *member = find_vdev(crew, vdev_id);

	if (!member) {
		member = add_vdev(crew, vdev_id);
		if (!member) {
			infini_err("vdev %s: no memory for a worker", name);
			return;
		}
	}
	member->device_id = device_id;
	snprintf(member->vdev_name, sizeof(member->vdev_name), "%s", name);
	member->wanted = !member->pid;
}

void infini_crew_lost(struct infini_crew *crew, uint32_t vdev_id, uint32_t pid, const char *reason)
{
	struct infini_crew_member *member = find_vdev(crew, vdev_id);

	if (!member || !member->pid || (uint32_t)member->pid != pid)
		return;
	member->left_well = !reason[0];
	/* One that has closed its executor's file goes on with cores and memory that nobody counts. */
	tell(member, SIGKILL);
}

void infini_crew_deleted(struct infini_crew *crew, uint32_t vdev_id)
{
	struct infini_crew_member *member = find_vdev(crew, vdev_id);

	if (!member)
		return;
	member->wanted = false;
	member->told = true;
}

/* ---- starting ---------------------------------------------------------------------- */

static int64_t backoff_ns(unsigned int crashes)
{
	int64_t ns = BACKOFF_FIRST_NS;

	while (--crashes && ns < BACKOFF_MAX_NS)
		ns *= 2;
	return ns < BACKOFF_MAX_NS ? ns : BACKOFF_MAX_NS;
}

static bool uses(const struct infini_crew_member *member, const char *remote)
{
	return member->pid && !strcmp(member->remote, remote);
}

bool infini_crew_on_remote(const struct infini_crew *crew, const char *remote, pid_t pid)
{
	const struct infini_crew_member *member;

	for (member = crew->members; member; member = member->next) {
		if (uses(member, remote) && (!pid || member->pid == pid))
			return true;
	}
	return false;
}

static bool is_taken(const struct infini_crew *crew, const char *remote, uint32_t endpoint)
{
	const struct infini_crew_member *member;

	for (member = crew->members; member; member = member->next) {
		if (uses(member, remote) && member->endpoint == endpoint)
			return true;
	}
	return false;
}

/* Another one after a crash: one server may be gone, and the others not. */
static int take_endpoint(const struct infini_crew *crew, struct infini_crew_member *member,
			 const struct infini_config_remote *remote)
{
	uint32_t endpoint;

	for (uint32_t i = 0; i < remote->nr_endpoints; i++) {
		endpoint = (member->crashes + i) % remote->nr_endpoints;
		if (is_taken(crew, remote->name, endpoint))
			continue;
		member->endpoint = endpoint;
		return 0;
	}
	return -EUSERS;
}

/* Those of vdevs that hold no memory stop when asked. */
static void ask_for_room(const struct infini_crew *crew, const char *remote)
{
	const struct infini_crew_member *member;

	for (member = crew->members; member; member = member->next) {
		if (uses(member, remote))
			tell(member, INFINI_WORKER_RETIRE_SIGNAL);
	}
}

static void start_failed(struct infini_crew_member *member, int error)
{
	const char *name = member->vdev_name;
	int64_t pause = BUSY_RETRY_NS;

	switch (error) {
	case -EBUSY:
		/* The dead worker's slot is not free yet, or somebody else was faster. */
		break;
	case -EUSERS:
		if (!member->waits)
			infini_notice("vdev %s waits: all connections to its remote machine are in "
				      "use; [remote NAME] can have more endpoints", name);
		member->waits = true;
		pause = FULL_RETRY_NS;
		break;
	case -ENOENT:
	case -ENODEV:
		infini_debug("vdev %s is gone before its worker started", name);
		member->wanted = false;
		return;
	default:
		pause = backoff_ns(++member->crashes);
		infini_err("vdev %s: cannot start a worker: %s; trying again in %lld ms", name,
			   strerror(-error), (long long)(pause / INFINI_NS_PER_MS));
	}
	member->not_before_ns = infini_clock_ns() + pause;
}

/* ---- what a worker may take --------------------------------------------------------- */

static struct infini_worker_cgroup_limits limits_of(const struct infini_crew_member *member,
						    const struct infini_config *config)
{
	return (struct infini_worker_cgroup_limits){
		.memory_bytes = member->memory_bytes + config->worker_memory,
		.tasks = infini_worker_cgroup_tasks(config->threads_max),
	};
}

static bool has_cgroup(const struct infini_crew *crew)
{
	return crew->cgroups.base[0];
}

static int make_cgroup(const struct infini_crew *crew, struct infini_crew_member *member,
		       const struct infini_roster_device *device,
		       const struct infini_config *config)
{
	struct infini_worker_cgroup_limits limits;
	int ret;

	if (!has_cgroup(crew))
		return 0;
	/* A vdev that is not listed yet has no more than its device. */
	if (!member->memory_bytes)
		member->memory_bytes = device->memory_bytes;
	limits = limits_of(member, config);
	ret = infini_worker_cgroup_make(&crew->cgroups, member->vdev_id, &limits);
	if (ret)
		infini_err("vdev %s: cannot make a control group for its worker", member->vdev_name);
	return ret;
}

static void enter_cgroup(const struct infini_crew *crew, const struct infini_crew_member *member)
{
	int ret = has_cgroup(crew) ?
		  infini_worker_cgroup_enter(&crew->cgroups, member->vdev_id) : 0;

	if (!ret)
		return;
	infini_err("vdev %s: its worker cannot enter its control group: %s", member->vdev_name,
		   strerror(-ret));
	_exit(INFINI_WORKER_FAILED);
}

static void observe_memory(const struct infini_crew *crew, struct infini_crew_member *member,
			   uint64_t memory_bytes, const struct infini_config *config)
{
	struct infini_worker_cgroup_limits limits;
	int ret;

	if (member->memory_bytes == memory_bytes)
		return;
	member->memory_bytes = memory_bytes;
	if (!member->pid || !has_cgroup(crew))
		return;
	limits = limits_of(member, config);
	ret = infini_worker_cgroup_limit(&crew->cgroups, member->vdev_id, &limits);
	if (ret)
		infini_warn("vdev %s: its worker's memory limit stays as it was: %s",
			    member->vdev_name, strerror(-ret));
}

/* ---- processes --------------------------------------------------------------------- */

/*
 * As the first process of a namespace: what it has started ends with it, however it ends, and it sees
 * no process but those.
 */
static pid_t fork_alone(void)
{
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC), error;
	pid_t pid = -1;

	if (own < 0)
		return -1;
	if (unshare(CLONE_NEWPID) == 0) {
		pid = fork();
		error = errno;
		if (pid && setns(own, CLONE_NEWPID) != 0)
			infini_err("cannot go back to the own process namespace: %s",
				   strerror(errno));
		errno = error;
	}
	error = errno;
	close(own);
	errno = error;
	return pid;
}

/* -1 where this cannot be. */
static pid_t fork_in_cgroup(int cgroup, bool alone)
{
	if (cgroup < 0 || infini_fork_adopt())
		return -1;
	return infini_fork_into(cgroup, alone ? CLONE_NEWPID : 0);
}

/* Without it a later supervisor does not know of this worker until its vdev wants another. */
static void keep(struct infini_crew_member *member)
{
	char name[INFINI_FDSTORE_NAME_BYTES];
	int ret;

	snprintf(name, sizeof(name), "worker vdev=%u pid=%ld device=%u name=%s remote=%s endpoint=%u",
		 member->vdev_id, (long)member->pid, member->device_id, member->vdev_name,
		 member->remote, member->endpoint);
	memcpy(member->kept_as, name, sizeof(name));
	ret = infini_fdstore_put(member->kept_as, member->pidfd);
	if (ret)
		infini_warn("vdev %s: the service manager does not keep its worker: %s",
			    member->vdev_name, strerror(-ret));
}

static int let_go_on(struct infini_crew_member *member, pid_t pid, int gate)
{
	int pidfd = pidfd_open(pid, 0);

	/* It ends with the gate. */
	if (pidfd < 0)
		return -errno;
	member->pid = pid;
	member->pidfd = pidfd;
	member->inherited = false;
	member->left_well = false;
	member->started_ns = infini_clock_ns();
	member->idle_since_ns = 0;
	member->wanted = false;
	member->told = false;
	member->waits = false;
	keep(member);
	return write(gate, "", 1) == 1 ? 0 : -errno;
}

/* -EAGAIN where there is no zygote for it. */
static int fork_from_zygote(struct infini_crew *crew, struct infini_crew_member *member,
			    const struct infini_worker *worker, int cgroup)
{
	struct infini_zygote_birth birth = {
		.vdev_name = member->vdev_name,
		.executor_fd = worker->executor_fd,
		.cgroup = cgroup,
	};
	int gate[2], ret = -EAGAIN;
	pid_t pid;

	if (has_cgroup(crew) && cgroup < 0)
		return -EAGAIN;
	if (pipe2(gate, O_CLOEXEC) != 0)
		return -errno;
	birth.gate_fd = gate[0];
	pid = infini_zygotes_fork(&crew->zygotes, member->device_id, worker->device, &birth);
	if (pid)
		ret = let_go_on(member, pid, gate[1]);
	close(gate[0]);
	close(gate[1]);
	return ret;
}

static int fork_from_here(const struct infini_crew *crew, struct infini_crew_member *member,
			  const struct infini_worker *worker, int cgroup)
{
	bool alone = worker->needs & INFINI_BACKEND_NEEDS_COMPILER, in_cgroup;
	int gate[2], ret;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) != 0)
		return -errno;
	pid = fork_in_cgroup(cgroup, alone);
	in_cgroup = pid >= 0;
	if (!in_cgroup)
		pid = alone ? fork_alone() : fork();
	if (!pid) {
		/* Or it would wait for itself. */
		close(gate[1]);
		infini_child_pass(gate[0]);
		if (!in_cgroup)
			enter_cgroup(crew, member);
		infini_worker_main(worker);
	}
	ret = pid < 0 ? -errno : let_go_on(member, pid, gate[1]);
	close(gate[0]);
	close(gate[1]);
	return ret;
}

static int fork_worker(struct infini_crew *crew, struct infini_crew_member *member,
		       const struct infini_worker *worker)
{
	int cgroup = has_cgroup(crew) ? infini_worker_cgroup_open(&crew->cgroups, member->vdev_id) : -1;
	int ret = fork_from_zygote(crew, member, worker, cgroup);

	if (ret == -EAGAIN)
		ret = fork_from_here(crew, member, worker, cgroup);
	if (cgroup >= 0)
		close(cgroup);
	return ret;
}

static int start_worker(struct infini_crew *crew, struct infini_crew_member *member,
			const struct infini_roster_device *device,
			const struct infini_config *config,
			const struct infini_backend_remote *remote)
{
	struct infini_worker worker = infini_worker_on(device, config);
	int ret;

	worker.vdev_name = member->vdev_name;
	worker.remote = remote;
	worker.executor_fd = infini_executor_create(device->fd, member->vdev_id);
	if (worker.executor_fd < 0)
		return worker.executor_fd;
	ret = make_cgroup(crew, member, device, config);
	if (!ret)
		ret = fork_worker(crew, member, &worker);
	close(worker.executor_fd);
	if (!ret)
		infini_info("vdev %s: worker %ld starts on device %s", member->vdev_name,
			    (long)member->pid, device->name);
	return ret;
}

static int start(struct infini_crew *crew, struct infini_crew_member *member,
		 const struct infini_roster_device *device, const struct infini_config *config)
{
	const struct infini_config_remote *remote;
	struct infini_backend_remote server;
	int ret;

	snprintf(member->remote, sizeof(member->remote), "%s", device->remote);
	if (!device->remote[0])
		return start_worker(crew, member, device, config, NULL);
	remote = infini_config_remote_find(config, device->remote);
	if (!remote)
		return -ENODEV;
	ret = take_endpoint(crew, member, remote);
	if (ret) {
		ask_for_room(crew, remote->name);
		return ret;
	}
	server = (struct infini_backend_remote){
		.name = remote->name,
		.endpoint = remote->endpoints[member->endpoint],
		.device_class = remote->device_class,
	};
	return start_worker(crew, member, device, config, &server);
}

static void forget_old(struct infini_crew *crew, int64_t now)
{
	struct infini_crew_member **link = &crew->members, *member;

	while ((member = *link)) {
		if (member->pid || member->wanted || member->not_before_ns + FORGET_NS > now) {
			link = &member->next;
			continue;
		}
		*link = member->next;
		free(member);
	}
}

void infini_crew_start_due(struct infini_crew *crew, const struct infini_roster *roster,
			   const struct infini_config *config)
{
	const struct infini_roster_device *device;
	struct infini_crew_member *member;
	int64_t now = infini_clock_ns();
	int ret;

	for (member = crew->members; member; member = member->next) {
		if (!member->wanted || member->pid || member->not_before_ns > now)
			continue;
		device = infini_roster_find(roster, member->device_id);
		ret = device ? start(crew, member, device, config) : -ENODEV;
		if (ret)
			start_failed(member, ret);
		else
			crew->nr_running++;
	}
	forget_old(crew, now);
}

int64_t infini_crew_next_ns(const struct infini_crew *crew)
{
	const struct infini_crew_member *member;
	int64_t next = INFINI_FOREVER;

	for (member = crew->members; member; member = member->next) {
		if (member->wanted && !member->pid && member->not_before_ns < next)
			next = member->not_before_ns;
	}
	return next;
}

/* ---- taking over ------------------------------------------------------------------- */

static bool has_ended(int pidfd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return poll(&end, 1, 0) != 0;
}

struct infini_crew_member *infini_crew_inherit(struct infini_crew *crew,
					       const struct infini_fdstore_file *file)
{
	struct infini_crew_member *member;
	uint32_t vdev_id, pid;

	if (!infini_fdstore_number(file->name, "vdev", &vdev_id) ||
	    !infini_fdstore_number(file->name, "pid", &pid) || !pid || has_ended(file->fd))
		return NULL;
	member = find_vdev(crew, vdev_id);
	if (!member)
		member = add_vdev(crew, vdev_id);
	if (!member || member->pid)
		return NULL;
	infini_fdstore_number(file->name, "device", &member->device_id);
	infini_fdstore_number(file->name, "endpoint", &member->endpoint);
	infini_fdstore_text(file->name, "name", member->vdev_name, sizeof(member->vdev_name));
	infini_fdstore_text(file->name, "remote", member->remote, sizeof(member->remote));
	snprintf(member->kept_as, sizeof(member->kept_as), "%s", file->name);
	member->pid = (pid_t)pid;
	member->pidfd = file->fd;
	member->inherited = true;
	member->left_well = false;
	member->started_ns = infini_clock_ns();
	crew->nr_running++;
	infini_info("vdev %s: worker %ld runs since an earlier infinid", member->vdev_name,
		    (long)member->pid);
	return member;
}

struct infini_crew_member *infini_crew_ended(const struct infini_crew *crew)
{
	struct infini_crew_member *member;

	for (member = crew->members; member; member = member->next) {
		if (member->pid && member->inherited && has_ended(member->pidfd))
			return member;
	}
	return NULL;
}

/* ---- ending ------------------------------------------------------------------------ */

static bool crashed(const struct infini_crew_member *member, int status)
{
	/* Its vdev's end ends it so; what it died of before that is told all the same. */
	if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM))
		return !member->told;
	if (WIFSIGNALED(status))
		return true;
	return WEXITSTATUS(status) != INFINI_WORKER_STOPPED &&
	       WEXITSTATUS(status) != INFINI_WORKER_GONE;
}

bool infini_crew_failed_on(const struct infini_crew *crew, const char *remote, pid_t pid, int status)
{
	const struct infini_crew_member *member;

	for (member = crew->members; member; member = member->next) {
		if (uses(member, remote) && member->pid == pid)
			return member->inherited ? !member->left_well : crashed(member, status);
	}
	return false;
}

/* @ran_out: by its control group's count. */
static void log_crash(const struct infini_crew_member *member, pid_t pid, int status,
		      bool ran_out, int64_t pause_ns)
{
	long long pause_ms = pause_ns / INFINI_NS_PER_MS;

	if (!WIFSIGNALED(status))
		infini_err("vdev %s: worker %ld failed; another may start in %lld ms",
			   member->vdev_name, (long)pid, pause_ms);
	else if (ran_out)
		infini_warn("vdev %s: worker %ld was killed: it took more memory than its vdev's "
			    "%llu MiB and worker_memory together; another may start in %lld ms",
			    member->vdev_name, (long)pid,
			    (unsigned long long)(member->memory_bytes >> 20), pause_ms);
	else if (WTERMSIG(status) == SIGKILL)
		infini_warn("vdev %s: worker %ld was killed: by the module, because a job did not "
			    "end in time, or for want of memory; another may start in %lld ms",
			    member->vdev_name, (long)pid, pause_ms);
	else if (WTERMSIG(status) == SIGSYS)
		infini_err("vdev %s: worker %ld was killed for a system call that its sandbox "
			   "forbids; another may start in %lld ms", member->vdev_name, (long)pid,
			   pause_ms);
	else
		infini_err("vdev %s: worker %ld was killed by SIG%s; another may start in %lld ms",
			   member->vdev_name, (long)pid, sigabbrev_np(WTERMSIG(status)), pause_ms);
}

bool infini_crew_reap(struct infini_crew *crew, pid_t pid, int status)
{
	struct infini_crew_member *member = crew->members;
	int64_t now = infini_clock_ns(), pause;
	bool ran_out;

	while (member && member->pid != pid)
		member = member->next;
	if (!member)
		return false;
	ran_out = infini_worker_cgroup_ran_out(&crew->cgroups, member->vdev_id);
	infini_worker_cgroup_remove(&crew->cgroups, member->vdev_id);
	/* What became of it only its parent was told. If it crashed so will the next, which is ours. */
	if (member->inherited)
		status = ran_out ? SIGKILL : 0;
	member->pid = 0;
	crew->nr_running--;
	infini_fdstore_forget(member->kept_as);
	close(member->pidfd);
	if (!crashed(member, status)) {
		member->crashes = 0;
		member->not_before_ns = now;
		infini_info("vdev %s: worker %ld has stopped", member->vdev_name, (long)pid);
		return true;
	}
	if (now - member->started_ns >= GOOD_LIFE_NS)
		member->crashes = 0;
	member->crashes++;
	pause = backoff_ns(member->crashes);
	member->not_before_ns = now + pause;
	log_crash(member, pid, status, ran_out, pause);
	return true;
}

static void observe_idle(struct infini_crew_member *member, uint64_t clients,
			 const struct infini_config *config)
{
	int64_t now = infini_clock_ns();

	if (clients || !config->idle_exit_s) {
		member->idle_since_ns = 0;
	} else if (!member->idle_since_ns) {
		member->idle_since_ns = now;
	} else if (now - member->idle_since_ns >= config->idle_exit_s * INFINI_NS_PER_S) {
		/* The worker refuses if a client has come meanwhile: start over. */
		member->idle_since_ns = now;
		tell(member, INFINI_WORKER_RETIRE_SIGNAL);
	}
}

/* Its loss went unheard, because an event was lost or there was no infinid. */
static void observe_absence(const struct infini_crew_member *member, uint32_t executor)
{
	if (member->pid && (executor == INFINI_EXECUTOR_NONE || executor == INFINI_EXECUTOR_WANTED) &&
	    infini_clock_ns() - member->started_ns > ATTACH_NS)
		tell(member, SIGKILL);
}

void infini_crew_observe(struct infini_crew *crew, const struct infini_admin_vdev *vdev,
			 const struct infini_config *config)
{
	struct infini_crew_member *member;

	if (vdev->executor == INFINI_EXECUTOR_WANTED)
		infini_crew_want(crew, vdev->id, vdev->device_id, vdev->name);
	member = find_vdev(crew, vdev->id);
	if (member)
		observe_memory(crew, member, vdev->memory_limit_bytes, config);
	if (member)
		observe_absence(member, vdev->executor);
	if (vdev->executor == INFINI_EXECUTOR_WANTED)
		return;
	if (member && member->pid && vdev->executor == INFINI_EXECUTOR_ATTACHED)
		observe_idle(member, vdev->stats.clients, config);
	else if (member && !member->pid && vdev->executor == INFINI_EXECUTOR_NONE)
		member->wanted = false;
}

void infini_crew_signal(struct infini_crew *crew, int signal)
{
	struct infini_crew_member *member;

	for (member = crew->members; member; member = member->next) {
		member->wanted = false;
		if (!member->pid)
			continue;
		member->told = true;
		tell(member, signal);
	}
}

void infini_crew_clear(struct infini_crew *crew)
{
	struct infini_crew_member *member;

	while ((member = crew->members)) {
		crew->members = member->next;
		if (member->pid)
			close(member->pidfd);
		free(member);
	}
	crew->nr_running = 0;
}
