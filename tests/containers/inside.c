// SPDX-License-Identifier: GPL-2.0-or-later
/* What runs in a container besides llama.cpp: a load, and attempts at what it may not have. */
#include <errno.h>
#include <fcntl.h>
#include <infini-admin.h>
#include <infini.h>
#include <infini/null.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define HANDLES		64
#define PAGES		4096

static void fail(const char *what, int err)
{
	fprintf(stderr, "inside: %s: %s\n", what, strerrorname_np(-err));
	exit(1);
}

/* ---- load: until somebody kills it ---- */

static uint32_t make_program(int fd)
{
	const struct infini_null_program program = {
		.magic = INFINI_NULL_MAGIC,
		.segments = 100,
		.segment_ns = 200000,
		.tokens_generated = 1,
	};
	uint32_t handle;
	int err = infini_program_create(fd, INFINI_FORMAT_NULL, &program, sizeof(program), &handle);

	if (err)
		fail("program", err);
	return handle;
}

static void __attribute__((noreturn)) load(void)
{
	struct infini_buffer_create buffer = { .type = INFINI_BUFFER_SHARED, .bytes = 1 << 20 };
	struct infini_queue_create queue = { .depth = 4 };
	struct infini_job job = { .op = INFINI_OP_PROGRAM };
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.nr_jobs = 1,
		.jobs = (uintptr_t)&job,
		.jobs_stride = sizeof(job),
		.deadline_ns = INFINI_FOREVER,
	};
	int fd = infini_client_open(NULL, NULL);
	int err = fd < 0 ? fd : infini_buffer_create(fd, &buffer);

	if (!err)
		err = infini_queue_create(fd, &queue);
	if (err)
		fail("open", err);
	submit.queue = queue.handle;
	job.program = make_program(fd);
	for (;;) {
		err = infini_submit(fd, &submit);
		if (err || submit.status)
			fail("submit", err ? err : submit.status);
	}
}

/* ---- open NODE...: what each is, or why not ---- */

static void say_node(const char *path)
{
	struct infini_query query = { 0 };
	struct infini_vdev_info info = { 0 };
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int err = fd < 0 ? -errno : infini_query(fd, &query);

	if (err)
		printf("%s %s\n", path, strerrorname_np(-err));
	else if (query.role == INFINI_ROLE_CONTROL)
		printf("%s control\n", path);
	else if (infini_vdev_info(fd, &info))
		printf("%s unknown\n", path);
	else
		printf("%s vdev %s\n", path, (const char *)info.name);
	if (fd >= 0)
		close(fd);
}

/* ---- vdev: what a program that asks for nothing gets ---- */

static int say_client(void)
{
	struct infini_vdev_info info = { 0 };
	int fd = infini_client_open(NULL, NULL);
	int err = fd < 0 ? fd : infini_vdev_info(fd, &info);

	if (err)
		puts(strerrorname_np(-err));
	else
		printf("vdev %s\n", (const char *)info.name);
	return 0;
}

/* ---- mknod MAJOR MINOR: make the node oneself ---- */

static int make_node(const char *major_word, const char *minor_word)
{
	static const char path[] = "/tmp/infini-made";

	if (mknod(path, S_IFCHR | 0666, makedev(atoi(major_word), atoi(minor_word)))) {
		printf("mknod %s\n", strerrorname_np(errno));
		return 0;
	}
	say_node(path);
	unlink(path);
	return 0;
}

/* ---- reach NAME ID: at somebody else's vdev, from one's own ---- */

static void say(const char *what, int err)
{
	printf("%s %s\n", what, err ? strerrorname_np(-err) : "REACHED");
}

static int any_handle(int fd, int (*destroy)(int fd, uint32_t handle))
{
	int err = -ENOENT;

	for (uint32_t handle = 1; handle <= HANDLES && err == -ENOENT; handle++)
		err = destroy(fd, handle);
	return err;
}

static int any_page(int fd)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		void *addr = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, page << 12);

		if (addr != MAP_FAILED)
			return 0;
	}
	return -errno;
}

static int see(const struct infini_admin_vdev *vdev, void *arg)
{
	(void)vdev;
	(void)arg;
	return 0;
}

static int list(void)
{
	struct infini_admin *admin = NULL;
	int err = infini_admin_open(&admin);

	if (!err)
		err = infini_admin_vdev_list(admin, see, NULL);
	infini_admin_close(admin);
	return err;
}

static int events(void)
{
	struct infini_admin *admin = NULL;
	int err = infini_admin_events_open(&admin);

	infini_admin_close(admin);
	return err;
}

static int reach(const char *name, const char *id)
{
	int fd = infini_client_open(NULL, NULL);
	int vdev;

	if (fd < 0)
		fail("open", fd);
	vdev = infini_vdev_open(fd, name, 0);
	say("name", vdev < 0 ? vdev : 0);
	vdev = infini_vdev_open(fd, NULL, strtoul(id, NULL, 10));
	say("id", vdev < 0 ? vdev : 0);
	say("buffers", any_handle(fd, infini_buffer_destroy));
	say("queues", any_handle(fd, infini_queue_destroy));
	say("programs", any_handle(fd, infini_program_destroy));
	say("pages", any_page(fd));
	say("list", list());
	say("events", events());
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "load"))
		load();
	while (argc == 2 && !strcmp(argv[1], "wait"))
		pause();
	if (argc == 2 && !strcmp(argv[1], "vdev"))
		return say_client();
	if (argc == 4 && !strcmp(argv[1], "mknod"))
		return make_node(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "reach"))
		return reach(argv[2], argv[3]);
	if (argc < 3 || strcmp(argv[1], "open")) {
		fputs("usage: inside load | wait | vdev | open NODE... | mknod MAJOR MINOR | reach NAME ID\n",
		      stderr);
		return 2;
	}
	for (int i = 2; i < argc; i++)
		say_node(argv[i]);
	return 0;
}
