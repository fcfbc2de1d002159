// SPDX-License-Identifier: GPL-2.0-or-later
/* What of the file system a worker keeps: see sandbox_paths.h. One table, enforced and shown. */
#include "sandbox_paths.h"

#include "count.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The header of an older distribution lacks the later members; the kernel takes zeroes for them. */
struct ruleset_attr {
	__u64 handled_access_fs;
	__u64 handled_access_net;
	__u64 scoped;
};

#define FS_RUN		LANDLOCK_ACCESS_FS_EXECUTE
#define FS_READ		LANDLOCK_ACCESS_FS_READ_FILE
#define FS_LIST		LANDLOCK_ACCESS_FS_READ_DIR
#define FS_WRITE	(1ULL << 1)	/* LANDLOCK_ACCESS_FS_WRITE_FILE */
#define FS_ALL		((1ULL << 13) - 1)
#define FS_TRUNCATE	(1ULL << 14)	/* ABI 3 */
#define FS_IOCTL_DEV	(1ULL << 15)	/* ABI 5 */
/* What a rule for a file may name; the rest is refused there. */
#define FS_OF_FILES	(FS_RUN | FS_WRITE | FS_READ | FS_TRUNCATE | FS_IOCTL_DEV)

/* What is refused unless a path below allows it, and what is refused altogether. */
static const struct {
	int abi;
	struct ruleset_attr attr;
	const char *what;		/* NULL: files, see there */
} handled[] = {
	{ 1, { .handled_access_fs = FS_ALL }, NULL },
	{ 2, { .handled_access_fs = LANDLOCK_ACCESS_FS_REFER }, NULL },
	{ 3, { .handled_access_fs = FS_TRUNCATE }, NULL },
	{ 4, { .handled_access_net = 3 }, "binding and connecting TCP sockets" },
	{ 5, { .handled_access_fs = FS_IOCTL_DEV }, NULL },
	{ 6, { .scoped = 3 }, "abstract sockets and signals of processes outside" },
};

/* Instead of paths: what differs from worker to worker. */
static const char scratch_mark[] = "the scratch directory", nvidia_mark[] = "its own GPU";

/* In @needs and @lacks: INFINI_SANDBOX_*. */
static const struct {
	const char *path;		/* or one of the marks */
	__u64 access;
	unsigned int needs, lacks;
} paths[] = {
#define TREE(path) \
	{ path, FS_RUN | FS_READ | FS_LIST, 0, INFINI_SANDBOX_COMPILER }, \
	{ path, FS_READ | FS_LIST, INFINI_SANDBOX_COMPILER, 0 }
	TREE("/usr"), TREE("/lib"), TREE("/lib32"), TREE("/lib64"), TREE("/opt"), TREE("/sys"),
	TREE("/proc/self"), TREE("/etc/vulkan"), TREE("/etc/OpenCL"), TREE("/etc/glvnd"),
#undef TREE
#define PROGRAM(path) { path, FS_RUN, INFINI_SANDBOX_COMPILER, 0 }
	/* What a compiler in a worker may run: the linker, and what the kernel starts it with. */
	PROGRAM("/usr/bin/ld"), PROGRAM("/usr/bin/ld.lld"), PROGRAM("/lib64/ld-linux-x86-64.so.2"),
	PROGRAM("/lib/ld-linux-aarch64.so.1"), PROGRAM("/lib/ld-linux-riscv64-lp64d.so.1"),
	PROGRAM("/lib64/ld64.so.2"),
#undef PROGRAM
#define DATA(path) { path, FS_READ, 0, 0 }
	DATA("/etc/ld.so.cache"), DATA("/etc/localtime"), DATA("/proc/cpuinfo"), DATA("/proc/meminfo"),
	DATA("/dev/urandom"), DATA("/dev/zero"),
#undef DATA
	{ "/dev/null", FS_READ | FS_WRITE, 0, 0 },
	/* It runs nothing that it has written. */
	{ scratch_mark, (FS_ALL & ~(__u64)FS_RUN) | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE,
	  INFINI_SANDBOX_COMPILER, 0 },
#define NODE(path) \
	{ path, FS_READ | FS_WRITE | FS_LIST | FS_IOCTL_DEV, INFINI_SANDBOX_ACCELERATOR, 0 }
	NODE("/dev/dri"), NODE("/dev/accel"), NODE("/dev/kfd"), NODE("/dev/nvidiactl"),
	NODE("/dev/nvidia-uvm"), NODE("/dev/nvidia-modeset"), NODE(nvidia_mark),
#undef NODE
};

int infini_sandbox_landlock_abi(void)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? -errno : abi;
}

static struct ruleset_attr ruleset_of(int abi)
{
	struct ruleset_attr attr = { 0 };

	for (size_t i = 0; i < COUNT(handled); i++) {
		if (handled[i].abi > abi)
			continue;
		attr.handled_access_fs |= handled[i].attr.handled_access_fs;
		attr.handled_access_net |= handled[i].attr.handled_access_net;
		attr.scoped |= handled[i].attr.scoped;
	}
	return attr;
}

int infini_sandbox_nvidia_minor(const char *information)
{
	static const char key[] = "\nDevice Minor:";
	const char *at = strstr(information, key);
	unsigned int minor;

	return at && sscanf(at + sizeof(key) - 1, "%u", &minor) == 1 && minor <= 255 ?
		(int)minor : -1;
}

/* Which of /dev/nvidiaN belongs to the GPU at @pci. False where it is none of NVIDIA's. */
static bool nvidia_node(const char *pci, char *path, size_t bytes)
{
	char information[4096];
	ssize_t got = -1;
	int minor, fd;

	if (!pci || !pci[0])
		return false;
	snprintf(path, bytes, "/proc/driver/nvidia/gpus/%s/information", pci);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, information, sizeof(information) - 1);
		close(fd);
	}
	if (got < 0)
		return false;
	information[got] = '\0';
	minor = infini_sandbox_nvidia_minor(information);
	snprintf(path, bytes, "/dev/nvidia%d", minor);
	return minor >= 0;
}

/* The path of row @i for this worker, in @text if it has to be made up; NULL: none. */
static const char *path_of(const struct infini_sandbox *sandbox, size_t i, char *text, size_t bytes)
{
	if (!infini_sandbox_has(sandbox, paths[i].needs, paths[i].lacks))
		return NULL;
	if (paths[i].path == scratch_mark)
		return sandbox->scratch;
	if (paths[i].path == nvidia_mark)
		return nvidia_node(sandbox->pci, text, bytes) ? text : NULL;
	return paths[i].path;
}

static void ruleset_allow(int ruleset, const char *path, __u64 access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	struct stat st;

	/* What is not there cannot be reached either. */
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return;
	if (!fstat(rule.parent_fd, &st) && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

int infini_sandbox_paths_open(const struct infini_sandbox *sandbox)
{
	int fd, abi = infini_sandbox_landlock_abi();
	struct ruleset_attr attr;
	const char *path;
	char text[64];

	if (abi < 0)
		return abi;
	attr = ruleset_of(abi);
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < COUNT(paths); i++) {
		path = path_of(sandbox, i, text, sizeof(text));
		if (path)
			ruleset_allow(fd, path, paths[i].access & attr.handled_access_fs);
	}
	return fd;
}

int infini_sandbox_paths_enforce(int ruleset)
{
	int ret = syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;

	close(ruleset);
	return ret;
}

/* ---- in words ---------------------------------------------------------------------- */

static const char *words(__u64 access, char *text, size_t bytes)
{
	static const struct {
		__u64 access;
		const char *word;
	} names[] = {
		{ FS_READ | FS_LIST, "read" }, { FS_WRITE, "write" }, { FS_RUN, "run" },
		{ 1ULL << 8 /* LANDLOCK_ACCESS_FS_MAKE_REG */, "create" }, { FS_IOCTL_DEV, "ioctl" },
	};
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < COUNT(names); i++) {
		if (access & names[i].access)
			length += (size_t)snprintf(text + length, bytes - length, "%s%s",
						   length ? ", " : "", names[i].word);
	}
	return text;
}

void infini_sandbox_paths_each(const struct infini_sandbox *sandbox, infini_sandbox_path_fn told,
			       void *arg)
{
	char text[64], in_words[64];
	const char *path;

	for (size_t i = 0; i < COUNT(paths); i++) {
		path = path_of(sandbox, i, text, sizeof(text));
		/* The scratch directory is there when its worker is. */
		if (path && (path == sandbox->scratch || !access(path, F_OK)))
			told(path, words(paths[i].access, in_words, sizeof(in_words)), arg);
	}
}

void infini_sandbox_denied_each(int abi, infini_sandbox_denied_fn told, void *arg)
{
	for (size_t i = 0; i < COUNT(handled); i++) {
		if (handled[i].what && handled[i].abi <= abi)
			told(handled[i].what, arg);
	}
}
