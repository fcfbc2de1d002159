// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The daemon proper: devices online, a worker for every vdev in use.
 *
 * One thread, one epoll. Events say when to look; a listing says what is true. So a lost event
 * costs a listing and nothing else.
 */
#include "supervisor.h"

#include "clock.h"
#include "discovery.h"
#include "fdstore.h"
#include "log.h"
#include "metering.h"
#include "notify.h"
#include "pidfile.h"
#include "spec.h"
#include "supervisor_state.h"
#include "worker.h"

#include <errno.h>
#include <infini.h>
#include <infini-admin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* After SIGTERM a worker has this long to give its job back. */
#define STOP_GRACE_NS		(5 * INFINI_NS_PER_S)
/* After a worker's end the module may need a moment before it wants the next. */
#define RESCAN_AFTER_EXIT_NS	(500 * INFINI_NS_PER_MS)
/* The list for container runtimes names all vdevs: where many come, it is not written for each. */
#define SPEC_PAUSE_NS		(50 * INFINI_NS_PER_MS)

int infini_supervisor_watch(struct supervisor *s, int fd, uint32_t source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = source };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* ---- listings and events ----------------------------------------------------------- */

static void tell_status(const struct supervisor *s)
{
	infini_notify("STATUS=%u devices, %u workers\n", s->roster.nr_devices,
		      s->crew.nr_running);
}

static int observe_vdev(const struct infini_admin_vdev *vdev, void *arg)
{
	struct supervisor *s = arg;

	if (infini_roster_find(&s->roster, vdev->device_id))
		infini_crew_observe(&s->crew, vdev, s->config);
	return 0;
}

static int64_t next_rescan(const struct supervisor *s)
{
	int64_t period = s->config->idle_exit_s * INFINI_NS_PER_S / 4;

	if (!s->crew.nr_running || !period)
		return INFINI_FOREVER;
	return infini_clock_ns() + period;
}

static void rescan(struct supervisor *s)
{
	const char *why;
	int ret = infini_admin_vdev_list(s->admin, observe_vdev, s);

	infini_lifetime_run(&s->lifetime, s->admin);
	s->rescan_ns = next_rescan(s);
	if (s->settle_ns > infini_clock_ns() && s->settle_ns < s->rescan_ns)
		s->rescan_ns = s->settle_ns;
	if (!ret)
		return;
	why = infini_admin_error(s->admin);
	infini_warn("cannot list virtual devices: %s", why[0] ? why : strerror(-ret));
	s->rescan_ns = infini_clock_ns() + INFINI_NS_PER_S;
}

static void log_timeout(const char *vdev_name)
{
	char message[96];

	snprintf(message, sizeof(message), "vdev %s: a job ran longer than its timeout", vdev_name);
	infini_log_limited(LOG_WARNING, message);
}

/* What an event does not tell: how much memory it may have. */
static void look_at(struct supervisor *s, uint32_t vdev_id)
{
	struct infini_admin_vdev vdev;

	if (!infini_admin_vdev_get(s->admin, NULL, vdev_id, &vdev))
		observe_vdev(&vdev, s);
}

static void handle_event(struct supervisor *s, const struct infini_admin_event *event)
{
	if (event->type == INFINI_EVENT_VDEV_CREATED || event->type == INFINI_EVENT_VDEV_DELETED)
		s->spec_wanted = true;
	if (!infini_roster_find(&s->roster, event->device_id))
		return;
	switch (event->type) {
	case INFINI_EVENT_EXECUTOR_WANTED:
		infini_crew_want(&s->crew, event->vdev_id, event->device_id, event->name);
		look_at(s, event->vdev_id);
		break;
	case INFINI_EVENT_VDEV_CHANGED:
		look_at(s, event->vdev_id);
		break;
	case INFINI_EVENT_JOB_TIMEOUT:
		log_timeout(event->name);
		break;
	case INFINI_EVENT_EXECUTOR_LOST:
		infini_debug("vdev %s: the module has let worker %u go", event->name, event->pid);
		infini_crew_lost(&s->crew, event->vdev_id, event->pid, event->reason);
		break;
	case INFINI_EVENT_VDEV_CREATED:
		infini_debug("vdev %s was created", event->name);
		break;
	case INFINI_EVENT_VDEV_DELETED:
		infini_debug("vdev %s was deleted", event->name);
		infini_crew_deleted(&s->crew, event->vdev_id);
		infini_metering_vdev_gone(s, event);
		break;
	default:
		break;
	}
}

static void read_events(struct supervisor *s)
{
	struct infini_admin_event event;
	int ret;

	while ((ret = infini_admin_event_read(s->events, &event)) == 0)
		handle_event(s, &event);
	if (ret == -ENOBUFS) {
		infini_info("events were lost; listing the virtual devices");
		s->spec_wanted = true;
		s->rescan_ns = 0;
	} else if (ret != -EAGAIN && ret != -EINTR) {
		infini_warn("cannot read an event: %s", strerror(-ret));
		s->rescan_ns = 0;
	}
}

/* ---- vdevs of commands -------------------------------------------------------------- */

/* Without it only "infinictl run" does not work. */
static void start_lifetime(struct supervisor *s)
{
	int ret = infini_lifetime_open(&s->lifetime, INFINI_LIFETIME_ROOT);

	if (!ret)
		ret = infini_supervisor_watch(s, s->lifetime.fd, SOURCE_LIFETIME);
	if (ret)
		infini_info("infinictl run is of no use here: %s: %s", INFINI_LIFETIME_ROOT,
			    strerror(-ret));
	else
		infini_lifetime_run(&s->lifetime, s->admin);
}

/* ---- signals ----------------------------------------------------------------------- */

/* False when @pid was no worker. */
static bool reap_worker(struct supervisor *s, pid_t pid, int status)
{
	infini_remotes_worker_ended(&s->remotes, &s->crew, pid, status);
	if (!infini_crew_reap(&s->crew, pid, status))
		return false;
	s->rescan_ns = infini_clock_ns();
	s->settle_ns = s->rescan_ns + RESCAN_AFTER_EXIT_NS;
	return true;
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!infini_zygotes_reap(&s->crew.zygotes, pid, status) &&
		    !infini_discovery_reap_remote(s, pid) && !reap_worker(s, pid, status))
			infini_discovery_reap(s, pid, status);
	}
}

static void reap_inherited(struct supervisor *s)
{
	struct infini_crew_member *member;

	/* The module has said what became of them before they ended. */
	read_events(s);
	while ((member = infini_crew_ended(&s->crew))) {
		/* Closing is not enough: the service manager may have a copy. */
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, member->pidfd, NULL);
		reap_worker(s, member->pid, W_EXITCODE(INFINI_WORKER_FAILED, 0));
	}
}

static void log_problem(const char *problem, void *arg)
{
	(void)arg;
	infini_err("%s", problem);
}

static int load_config(const struct infini_supervisor_setup *setup, struct infini_config *config)
{
	int ret = infini_config_load(config, setup->config_path, log_problem, NULL);

	if (ret == -ENOENT && !setup->config_required)
		ret = infini_config_defaults(config);
	return ret;
}

static void reload(struct supervisor *s)
{
	struct infini_config *fresh = malloc(sizeof(*fresh));
	int ret = fresh ? load_config(s->setup, fresh) : -ENOMEM;
	bool metrics_move;

	s->reload_wanted = false;
	if (ret) {
		infini_err("%s: %s; the configuration stays as it was", s->setup->config_path,
			   strerror(-ret));
		free(fresh);
		return;
	}
	infini_notify("RELOADING=1\nMONOTONIC_USEC=%lld\n",
		      (long long)(infini_clock_ns() / 1000));
	metrics_move = !s->metrics || s->config->metrics_port != fresh->metrics_port ||
		       strcmp(s->config->metrics_socket, fresh->metrics_socket);
	*s->config = *fresh;
	free(fresh);
	infini_log_level(s->config->log_level);
	infini_notice("configuration read again; running workers keep what they started with");
	s->reloading = true;
	s->spec_wanted = true;
	if (metrics_move) {
		infini_metering_stop_pages(s);
		infini_metering_start_pages(s);
	}
	infini_roster_filter(&s->roster, s->config);
	/* What they have open is as the configuration was. */
	infini_zygotes_end(&s->crew.zygotes);
	infini_remotes_configure(&s->remotes, s->config);
	infini_inventory_watch_look(&s->hardware);
	infini_discovery_start(s);
}

static void read_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(s);
			break;
		case SIGHUP:
			s->reload_wanted = true;
			break;
		default:
			s->stopping = true;
		}
	}
}

/* ---- the loop ---------------------------------------------------------------------- */

/* Rounded up, so that what is due is due when epoll_wait() returns. */
static int timeout_ms(int64_t due_ns)
{
	int64_t left;

	if (due_ns == INFINI_FOREVER)
		return -1;
	left = due_ns - infini_clock_ns();
	if (left <= 0)
		return 0;
	left = (left + INFINI_NS_PER_MS - 1) / INFINI_NS_PER_MS;
	return left > 3600000 ? 3600000 : (int)left;
}

static int wait_and_handle(struct supervisor *s, int64_t due_ns)
{
	struct epoll_event ready[8];
	uint32_t source;
	int n = epoll_wait(s->epoll_fd, ready, 8, timeout_ms(due_ns));

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		source = ready[i].data.u32;
		if (source == SOURCE_SIGNALS)
			read_signals(s);
		else if (source == SOURCE_EVENTS)
			read_events(s);
		else if (source == SOURCE_METRICS)
			infini_metering_run_pages(s);
		else if (source == SOURCE_LIFETIME)
			infini_lifetime_run(&s->lifetime, s->admin);
		else if (source == SOURCE_HOTPLUG)
			infini_inventory_watch_event(&s->hardware);
		else if (source == SOURCE_INHERITED)
			reap_inherited(s);
		else if (source < SOURCE_REMOTES)
			infini_discovery_read(s, &s->probes[source - SOURCE_PROBES]);
		else
			infini_discovery_read_remote(s, &s->remotes.remotes[source - SOURCE_REMOTES]);
	}
	return 0;
}

/* Not before the terminal is left, nor while probes take the time by which a CPU's speed is judged. */
static bool may_tend_zygotes(const struct supervisor *s)
{
	return s->ready && !s->nr_probes;
}

static int64_t next_due(const struct supervisor *s)
{
	int64_t due = infini_crew_next_ns(&s->crew);
	int64_t hardware = infini_inventory_watch_next_ns(&s->hardware, s->nr_probes);
	int64_t metrics = infini_metering_pages_due(s);

	if (s->rescan_ns < due)
		due = s->rescan_ns;
	if (s->ledger_ns < due)
		due = s->ledger_ns;
	if (s->spec_wanted && s->spec_ns < due)
		due = s->spec_ns;
	if (hardware < due)
		due = hardware;
	if (may_tend_zygotes(s) && infini_zygotes_next_ns(&s->crew.zygotes) < due)
		due = infini_zygotes_next_ns(&s->crew.zygotes);
	if (infini_remotes_next_ns(&s->remotes) < due)
		due = infini_remotes_next_ns(&s->remotes);
	return metrics < due ? metrics : due;
}

static void write_spec(struct supervisor *s)
{
	s->spec_wanted = false;
	s->spec_ns = infini_clock_ns() + SPEC_PAUSE_NS;
	infini_spec_refresh(s->config, s->admin);
}

static int serve(struct supervisor *s)
{
	uint32_t running = 0;
	int ret;

	while (!s->stopping) {
		if (s->reload_wanted && !s->nr_probes)
			reload(s);
		if (s->rescan_ns <= infini_clock_ns())
			rescan(s);
		if (s->ledger_ns <= infini_clock_ns())
			infini_metering_enter(s);
		infini_inventory_watch_run(&s->hardware, s->nr_probes);
		if (s->hardware.came && !s->nr_probes)
			infini_discovery_start(s);
		if (infini_remotes_next_ns(&s->remotes) <= infini_clock_ns())
			infini_discovery_start_remotes(s);
		if (infini_metering_pages_due(s) <= infini_clock_ns())
			infini_metering_run_pages(s);
		/* Jobs wait for a worker, and nobody for the rest. */
		infini_crew_start_due(&s->crew, &s->roster, s->config);
		if (may_tend_zygotes(s))
			infini_zygotes_tend(&s->crew.zygotes, &s->roster, s->config);
		if (s->spec_wanted && s->spec_ns <= infini_clock_ns())
			write_spec(s);
		if (s->crew.nr_running != running) {
			running = s->crew.nr_running;
			if (s->rescan_ns == INFINI_FOREVER)
				s->rescan_ns = next_rescan(s);
			tell_status(s);
		}
		ret = wait_and_handle(s, next_due(s));
		if (ret) {
			infini_err("the supervisor's loop failed: %s", strerror(-ret));
			return ret;
		}
	}
	/* It stays while there is no infinid. */
	if (s->spec_wanted)
		write_spec(s);
	return 0;
}

/* Workers give their jobs back; those that do not in time are killed. */
static void stop_workers(struct supervisor *s)
{
	int64_t deadline = infini_clock_ns() + STOP_GRACE_NS;
	bool killed = false;

	s->stopping = true;
	infini_notify("STOPPING=1\nSTATUS=stopping %u workers\n", s->crew.nr_running);
	infini_crew_signal(&s->crew, SIGTERM);
	while (s->crew.nr_running) {
		if (!killed && infini_clock_ns() >= deadline) {
			infini_warn("workers that do not stop are killed: %u", s->crew.nr_running);
			infini_crew_signal(&s->crew, SIGKILL);
			killed = true;
		}
		if (wait_and_handle(s, killed ? INFINI_FOREVER : deadline))
			break;
	}
}

/* ---- what an earlier supervisor has left ------------------------------------------- */

static bool inherit_device(struct supervisor *s, const struct infini_fdstore_file *file)
{
	struct infini_query query = { 0 };
	struct infini_admin_device device;
	char name[INFINI_NAME_MAX];

	return infini_fdstore_text(file->name, "name", name, sizeof(name)) &&
	       !infini_query(file->fd, &query) && query.role == INFINI_ROLE_DEVICE &&
	       !infini_admin_device_get(s->admin, name, 0, &device) && device.online &&
	       infini_roster_inherit(&s->roster, file, &device);
}

static bool inherit_worker(struct supervisor *s, const struct infini_fdstore_file *file)
{
	const struct infini_crew_member *member = infini_crew_inherit(&s->crew, file);
	int ret = member ? infini_supervisor_watch(s, member->pidfd, SOURCE_INHERITED) : 0;

	if (ret)
		infini_warn("vdev %s: the end of worker %ld goes unnoticed: %s", member->vdev_name,
			    (long)member->pid, strerror(-ret));
	return member;
}

static void inherit_file(struct supervisor *s, const struct infini_fdstore_file *file)
{
	if (infini_fdstore_is(file->name, "metrics") ? infini_metering_take_socket(s, file) :
	    infini_fdstore_is(file->name, "device") ? inherit_device(s, file) :
	    infini_fdstore_is(file->name, "worker") && inherit_worker(s, file))
		return;
	infini_debug("\"%s\" is of no use any more", file->name);
	infini_fdstore_forget(file->name);
	close(file->fd);
}

/* They go on as if nothing had been; the configuration may have changed. */
static void inherit(struct supervisor *s)
{
	struct infini_fdstore_file *files;
	uint32_t nr;

	if (infini_fdstore_take(&files, &nr))
		infini_err("no memory for what an earlier infinid has left");
	for (uint32_t i = 0; i < nr; i++)
		inherit_file(s, &files[i]);
	free(files);
	infini_roster_filter(&s->roster, s->config);
	s->rescan_ns = 0;
}

/* Whoever comes next finds all as it is: jobs go on meanwhile. */
static void leave_workers(struct supervisor *s)
{
	infini_notify("STOPPING=1\nSTATUS=leaving %u workers to the next infinid\n",
		      s->crew.nr_running);
	infini_info("%u devices and %u workers are left to the next infinid", s->roster.nr_devices,
		    s->crew.nr_running);
}

/* ---- start and end ----------------------------------------------------------------- */

static int open_pidfile(struct supervisor *s)
{
	pid_t owner;

	snprintf(s->run_dir, sizeof(s->run_dir), "%s", s->config->run_dir);
	s->pidfile_fd = infini_pidfile_lock(s->run_dir, &owner);
	if (s->pidfile_fd == -EBUSY)
		infini_err("already running (pid %ld)", (long)owner);
	else if (s->pidfile_fd < 0)
		infini_err("%s/infinid.pid: %s", s->run_dir, strerror(-s->pidfile_fd));
	return s->pidfile_fd < 0 ? s->pidfile_fd : 0;
}

static int open_module(struct supervisor *s)
{
	struct infini_query query = { 0 };
	int ret;

	s->control_fd = infini_open(NULL);
	if (s->control_fd == -ENOENT || s->control_fd == -ENXIO || s->control_fd == -ENODEV) {
		infini_err("there is no " INFINI_NODE ": load the kernel module with \"modprobe "
			   "infini\"");
		return s->control_fd;
	}
	ret = s->control_fd < 0 ? s->control_fd : infini_query(s->control_fd, &query);
	if (ret) {
		infini_err(INFINI_NODE ": %s", strerror(-ret));
		return ret;
	}
	if (query.role != INFINI_ROLE_CONTROL) {
		infini_err(INFINI_NODE " is a virtual device here; infinid runs on the host, not in "
			   "a container");
		return -EINVAL;
	}
	if (query.protocol != INFINI_PROTOCOL_VERSION) {
		infini_err("the module speaks protocol %u, infinid %d; install both from one "
			   "release", query.protocol, INFINI_PROTOCOL_VERSION);
		return -EPROTO;
	}
	return 0;
}

static int open_netlink(struct supervisor *s)
{
	int ret = infini_admin_open(&s->admin);

	/* Join first, list afterwards: nothing falls between. */
	if (!ret)
		ret = infini_admin_events_open(&s->events);
	if (ret)
		infini_err("the module's netlink family does not answer: %s", strerror(-ret));
	return ret;
}

static int open_loop(struct supervisor *s)
{
	sigset_t signals;
	int ret = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->signal_fd < 0 || s->epoll_fd < 0)
		ret = -errno;
	if (!ret)
		ret = infini_supervisor_watch(s, s->signal_fd, SOURCE_SIGNALS);
	if (!ret)
		ret = infini_supervisor_watch(s, infini_admin_events_fd(s->events), SOURCE_EVENTS);
	if (ret)
		infini_err("cannot wait for events: %s", strerror(-ret));
	return ret;
}

/* Without them a worker that takes too much memory harms others. */
static void start_cgroups(struct supervisor *s)
{
	char membership[PATH_MAX] = "", why[256];
	FILE *file = fopen("/proc/self/cgroup", "re");

	if (file) {
		membership[fread(membership, 1, sizeof(membership) - 1, file)] = '\0';
		fclose(file);
	}
	if (infini_worker_cgroups_open(&s->crew.cgroups, INFINI_CGROUP_ROOT, membership,
				       infini_notify_managed(), why, sizeof(why)))
		infini_notice("workers have no control groups of their own, so nothing bounds what "
			      "memory they take: %s", why);
}

static void start_inventory(struct supervisor *s)
{
	int fd;

	infini_inventory_watch_start(&s->hardware, s->run_dir, &s->roster, &s->crew, s->config);
	fd = infini_inventory_watch_fd(&s->hardware);
	if (fd >= 0 && infini_supervisor_watch(s, fd, SOURCE_HOTPLUG))
		infini_err("accelerators that come or go are not noticed: %s", strerror(errno));
}

static void close_all(struct supervisor *s)
{
	infini_discovery_stop(s);
	infini_inventory_watch_stop(&s->hardware);
	infini_metering_stop_pages(s);
	for (unsigned int i = 0; i < s->places.nr_passed; i++)
		close(s->places.passed[i]);
	infini_lifetime_close(&s->lifetime);
	infini_ledger_close(s->ledger);
	infini_sample_free(&s->gone);
	infini_energy_clear(&s->energy);
	infini_worker_cgroups_close(&s->crew.cgroups);
	infini_crew_clear(&s->crew);
	infini_roster_clear(&s->roster);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->events)
		infini_admin_close(s->events);
	if (s->admin)
		infini_admin_close(s->admin);
	if (s->control_fd >= 0)
		close(s->control_fd);
	if (s->pidfile_fd >= 0)
		infini_pidfile_unlock(s->pidfile_fd, s->run_dir);
}

int infini_supervisor_run(const struct infini_supervisor_setup *setup)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->setup = setup;
	s->config = setup->config;
	s->control_fd = -1;
	s->signal_fd = -1;
	s->epoll_fd = -1;
	s->lifetime.fd = -1;
	s->rescan_ns = INFINI_FOREVER;
	s->spec_wanted = true;
	ret = open_pidfile(s);
	if (!ret)
		ret = open_module(s);
	if (!ret)
		ret = open_netlink(s);
	if (!ret)
		ret = open_loop(s);
	if (!ret) {
		if (s->config->user_is_fallback)
			infini_notice("there is no user \"infini\": workers run as nobody");
		infini_metering_open_ledger(s);
		start_cgroups(s);
		start_lifetime(s);
		start_inventory(s);
		infini_remotes_configure(&s->remotes, s->config);
		inherit(s);
		infini_metering_start_pages(s);
		infini_discovery_start(s);
		ret = serve(s);
		infini_zygotes_end(&s->crew.zygotes);
		if (infini_fdstore_present())
			leave_workers(s);
		else
			stop_workers(s);
		infini_metering_enter(s);
	}
	close_all(s);
	free(s);
	if (!ret)
		infini_info("stopped");
	return ret;
}
