// SPDX-License-Identifier: GPL-2.0-or-later
/* The machine's health: each look says what is there and what to do. */
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "doctor.h"
#include "infini.h"

/* Kernels with which the whole is tested, as KERNEL_VERSION() without the last number. */
#define KERNEL(major, minor)	((major) * 1000U + (minor))
#define KERNEL_OLDEST		KERNEL(6, 1)
#define KERNEL_NEWEST		KERNEL(7, 3)

static void say(struct infini_finding *finding, enum infini_health health, const char *advice,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void say(struct infini_finding *finding, enum infini_health health, const char *advice,
		const char *fmt, ...)
{
	va_list args;

	finding->health = health;
	snprintf(finding->advice, sizeof(finding->advice), "%s", advice);
	va_start(args, fmt);
	vsnprintf(finding->found, sizeof(finding->found), fmt, args);
	va_end(args);
}

static bool is_there(const struct infini_patient *patient, const char *path, struct stat *st)
{
	char whole[PATH_MAX];
	struct stat own;

	snprintf(whole, sizeof(whole), "%s%s", patient->root, path);
	return !stat(whole, st ? st : &own);
}

/* The first line of @path, without its newline; empty when it cannot be read. */
static void first_line(const struct infini_patient *patient, const char *path, char *line, size_t size)
{
	char whole[PATH_MAX];
	FILE *file;

	line[0] = '\0';
	snprintf(whole, sizeof(whole), "%s%s", patient->root, path);
	file = fopen(whole, "re");
	if (!file)
		return;
	if (!fgets(line, (int)size, file))
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
}

static bool has_word(const char *line, const char *word, const char *between)
{
	char copy[256], *save, *at;

	snprintf(copy, sizeof(copy), "%s", line);
	for (at = strtok_r(copy, between, &save); at; at = strtok_r(NULL, between, &save))
		if (!strcmp(at, word))
			return true;
	return false;
}

/* ---- the kernel ---- */

static void look_kernel(const struct infini_patient *patient, struct infini_finding *finding)
{
	unsigned int major = 0, minor = 0;
	char release[80];

	first_line(patient, "/proc/sys/kernel/osrelease", release, sizeof(release));
	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		say(finding, INFINI_HEALTH_WRONG, "mount proc", "its release cannot be read");
	else if (KERNEL(major, minor) < KERNEL_OLDEST)
		say(finding, INFINI_HEALTH_WRONG, "boot 6.1 or newer", "%s is too old", release);
	else if (KERNEL(major, minor) > KERNEL_NEWEST)
		say(finding, INFINI_HEALTH_WARNING, "what works is yours to find out; 6.1 to 7.3 is tested",
		    "%s is newer than what Infini was tested with", release);
	else
		say(finding, INFINI_HEALTH_OK, "", "%s", release);
}

static void look_module(const struct infini_patient *patient, struct infini_finding *finding)
{
	struct stat st;

	if (!is_there(patient, "/sys/module/infini", NULL))
		say(finding, INFINI_HEALTH_WRONG,
		    "modprobe infini; to have it at every boot, put \"infini\" into /etc/modules-load.d/infini.conf",
		    "not loaded");
	else if (!is_there(patient, INFINI_NODE, &st) || !S_ISCHR(st.st_mode))
		say(finding, INFINI_HEALTH_WRONG, "/dev must be a devtmpfs; in a container, the host's node",
		    "loaded, but there is no " INFINI_NODE);
	else
		say(finding, INFINI_HEALTH_OK, "", "loaded, " INFINI_NODE " is there");
}

static void look_btf(const struct infini_patient *patient, struct infini_finding *finding)
{
	if (!is_there(patient, "/sys/kernel/btf/vmlinux", NULL))
		say(finding, INFINI_HEALTH_WARNING,
		    "infinitop, infinilat and infinisnoop need a kernel with CONFIG_DEBUG_INFO_BTF",
		    "the kernel has no BTF");
	else if (is_there(patient, "/sys/module/infini", NULL) &&
		 !is_there(patient, "/sys/kernel/btf/infini", NULL))
		say(finding, INFINI_HEALTH_WARNING,
		    "the BPF tools work, at a somewhat higher cost; to change it, build the module where the kernel's vmlinux is",
		    "the kernel's, but not the module's");
	else
		say(finding, INFINI_HEALTH_OK, "", "there");
}

static void look_landlock(const struct infini_patient *patient, struct infini_finding *finding)
{
	char modules[256];

	first_line(patient, "/sys/kernel/security/lsm", modules, sizeof(modules));
	if (!modules[0])
		say(finding, INFINI_HEALTH_WARNING, "mount -t securityfs none /sys/kernel/security, and look again",
		    "not known: there is no list of security modules");
	else if (!has_word(modules, "landlock", ","))
		say(finding, INFINI_HEALTH_WARNING,
		    "workers are held by seccomp and their user alone, and those that compile (OpenCL) do not start: boot with \"landlock\" in lsm=",
		    "Landlock is not on");
	else
		say(finding, INFINI_HEALTH_OK, "", "Landlock is on");
}

/* Where infinid, as process @pid, has the groups of its workers: see lib/cgroup.h. */
static bool workers_have_groups(const struct infini_patient *patient, pid_t pid)
{
	char path[64], own[PATH_MAX], base[PATH_MAX + 64], controllers[256], *last;

	snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)pid);
	first_line(patient, path, own, sizeof(own));
	if (strncmp(own, "0::/", 4))
		return false;
	last = strrchr(own, '/');
	if (!strcmp(last, "/" INFINI_CGROUP_SUPERVISOR))
		*last = '\0';
	else if (!strcmp(own, "0::/"))
		strcpy(last, "/" INFINI_CGROUP_WORKERS);
	else
		return false;
	snprintf(base, sizeof(base), "/sys/fs/cgroup%s/cgroup.subtree_control", own + 3);
	first_line(patient, base, controllers, sizeof(controllers));
	return has_word(controllers, "memory", " ");
}

static pid_t daemon_pid(const struct infini_patient *patient, bool *runs)
{
	char dir[PATH_MAX];
	pid_t pid;

	snprintf(dir, sizeof(dir), "%s%s", patient->root, patient->run_dir);
	*runs = infini_daemon_runs(dir, &pid);
	return pid;
}

static void look_cgroups(const struct infini_patient *patient, struct infini_finding *finding)
{
	static const char advice[] =
		"infinictl run, --cgroup and limits of workers need the unified hierarchy at /sys/fs/cgroup";
	char controllers[256];
	bool runs;
	pid_t pid = daemon_pid(patient, &runs);

	first_line(patient, "/sys/fs/cgroup/cgroup.controllers", controllers, sizeof(controllers));
	if (!is_there(patient, "/sys/fs/cgroup/cgroup.controllers", NULL))
		say(finding, INFINI_HEALTH_WARNING, advice, "no cgroup v2");
	else if (!has_word(controllers, "memory", " "))
		say(finding, INFINI_HEALTH_WARNING, "boot without cgroup_disable=memory",
		    "v2, without the memory controller");
	else if (pid && !workers_have_groups(patient, pid))
		say(finding, INFINI_HEALTH_WARNING,
		    "infinid.conf(5), worker_memory: infinid's unit needs Delegate=yes and DelegateSubgroup=" INFINI_CGROUP_SUPERVISOR ", which systemd has since 254",
		    "v2, with memory; infinid's workers have none of their own");
	else
		say(finding, INFINI_HEALTH_OK, "", "v2, with memory");
}

/* ---- what runs on it ---- */

static void look_permissions(const struct infini_patient *patient, struct infini_finding *finding)
{
	if (patient->connect_err == -EPERM)
		say(finding, INFINI_HEALTH_WARNING,
		    "vdevs are made and listed by root: run infinictl doctor as root for the rest",
		    "user %u may not ask the module", geteuid());
	else if (patient->connect_err && patient->connect_err != -ENOENT)
		say(finding, INFINI_HEALTH_WRONG, "look again; the kernel's log may say more",
		    "the module does not answer: %s", strerror(-patient->connect_err));
	else if (!getgrnam("infini"))
		say(finding, INFINI_HEALTH_WARNING, "systemd-sysusers, or groupadd --system infini",
		    "there is no group \"infini\" to give vdevs to");
	else
		say(finding, INFINI_HEALTH_OK, "", "the module can be asked, group \"infini\" is there");
}

static void look_daemon(const struct infini_patient *patient, struct infini_finding *finding)
{
	bool runs;
	pid_t pid = daemon_pid(patient, &runs);

	if (!runs)
		say(finding, INFINI_HEALTH_WRONG,
		    "systemctl start infinid; why it ended: journalctl -u infinid. --run-dir says where it keeps its files",
		    "infinid does not run, by %s/infinid.pid", patient->run_dir);
	else if (pid)
		say(finding, INFINI_HEALTH_OK, "", "process %ld", (long)pid);
	else
		say(finding, INFINI_HEALTH_OK, "", "runs, in another pid namespace");
}

static void look_devices(const struct infini_patient *patient, struct infini_finding *finding)
{
	size_t online = 0, nr = patient->devices.nr;

	for (size_t i = 0; i < nr; i++)
		online += patient->devices.device[i].online;
	if (patient->connect_err)
		say(finding, INFINI_HEALTH_WARNING, "see permissions and module", "not known");
	else if (!online)
		say(finding, INFINI_HEALTH_WRONG,
		    "infinictl device list --all says why what there is is not used; infinid's log says the rest",
		    nr ? "%zu, none online" : "none", nr);
	else if (online < nr)
		say(finding, INFINI_HEALTH_WARNING, "infinictl device list says which; infinid's log says why",
		    "%zu of %zu online", online, nr);
	else
		say(finding, INFINI_HEALTH_OK, "", "%zu online", online);
}

static void look_containers(const struct infini_patient *patient, struct infini_finding *finding)
{
	const struct infini_vdevs *vdevs = &patient->vdevs;
	size_t nodes = 0, known = 0;

	for (size_t i = 0; i < vdevs->nr; i++) {
		if (vdevs->vdev[i].minor < 0)
			continue;
		nodes++;
		known += infini_cdi_ready(vdevs->vdev[i].name, vdevs->vdev[i].id);
	}
	if (patient->connect_err)
		say(finding, INFINI_HEALTH_WARNING, "see permissions and module", "not known");
	else if (known < nodes)
		say(finding, INFINI_HEALTH_WARNING,
		    "infinictl cdi generate, or a section [cdi] in infinid.conf, which keeps it true",
		    "runtimes know %zu of %zu vdevs", known, nodes);
	else
		say(finding, INFINI_HEALTH_OK, "", "runtimes know %zu of %zu vdevs", known, nodes);
}

const struct infini_check infini_checks[] = {
	{ "kernel", look_kernel },
	{ "module", look_module },
	{ "btf", look_btf },
	{ "landlock", look_landlock },
	{ "cgroups", look_cgroups },
	{ "permissions", look_permissions },
	{ "daemon", look_daemon },
	{ "devices", look_devices },
	{ "containers", look_containers },
	{ NULL, NULL }
};
