// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may open a vdev beside owner and mode: control groups, one opener at a time; its uuid. From
 * which control groups it is open.
 */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define CGROUPS	"/sys/fs/cgroup"
#define INSIDE	CGROUPS "/infini-test"
#define BELOW	INSIDE "/below"
#define BESIDE	CGROUPS "/infini-test-2"
#define OTHER	1003

static struct world world;
static struct genl_request request;

/* ---- control groups ---- */

static void cgroup_make(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
}

static void cgroups_make(void)
{
	test_need_root();
	if (access(CGROUPS "/cgroup.procs", F_OK))
		test_skip("no cgroup v2 in " CGROUPS);
	cgroup_make(INSIDE);
	cgroup_make(BELOW);
	cgroup_make(BESIDE);
}

static void cgroups_remove(void)
{
	static const char *const paths[] = { BELOW, INSIDE, BESIDE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(paths); i++)
		AWAIT(!rmdir(paths[i]) || errno == ENOENT);
}

static uint64_t cgroup_inode(const char *path)
{
	struct stat found;

	CHECK_EQ(stat(path, &found), 0);
	return found.st_ino;
}

static void cgroup_enter(const char *path)
{
	char procs[PATH_MAX];
	int fd;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		test_fail(__FILE__, __LINE__, "%s: %s", procs, strerror(errno));
	close(fd);
}

/* Opening as root, or as @user when that is not 0, in the group @path. */
static int open_in(const char *path, unsigned int user, uint32_t vdev)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		cgroup_enter(path);
		if (user)
			test_become(user);
		_exit(-world_try_open(vdev));
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

/* ---- changes ---- */

static void begin_set(uint32_t vdev)
{
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, vdev);
}

static int talk(void)
{
	return genl_talk(world_genl(), &request, false, NULL, NULL);
}

static int bind_fd(uint32_t vdev, int fd)
{
	begin_set(vdev);
	genl_put(&request, INFINI_A_VDEV_CGROUP_FD, &fd, sizeof(fd));
	return talk();
}

static int bind_path(uint32_t vdev, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : bind_fd(vdev, fd);

	if (fd >= 0)
		close(fd);
	return err;
}

static int set_exclusive(uint32_t vdev, uint8_t exclusive)
{
	begin_set(vdev);
	genl_put(&request, INFINI_A_VDEV_EXCLUSIVE, &exclusive, sizeof(exclusive));
	return talk();
}

struct seen {
	uint64_t cgroup_id;
	uint8_t exclusive;
	uint8_t uuid[INFINI_VDEV_UUID_BYTES];
};

static void take_seen(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	struct seen *seen = arg;

	(void)cmd;
	CHECK_EQ(attrs[INFINI_A_VDEV_EXCLUSIVE].bytes, 1);
	CHECK_EQ(attrs[INFINI_A_VDEV_UUID].bytes, sizeof(seen->uuid));
	seen->cgroup_id = genl_u64(&attrs[INFINI_A_VDEV_CGROUP_ID]);
	seen->exclusive = *(const uint8_t *)attrs[INFINI_A_VDEV_EXCLUSIVE].data;
	memcpy(seen->uuid, attrs[INFINI_A_VDEV_UUID].data, sizeof(seen->uuid));
}

static struct seen look(uint32_t vdev)
{
	struct seen seen;

	genl_begin(&request, INFINI_CMD_VDEV_GET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, vdev);
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_seen, &seen), 0);
	return seen;
}

static void take_id(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	(void)cmd;
	*(uint32_t *)arg = genl_u32(&attrs[INFINI_A_VDEV_ID]);
}

static void begin_new(const char *name)
{
	genl_begin(&request, INFINI_CMD_VDEV_NEW);
	genl_put_string(&request, INFINI_A_VDEV_NAME, name);
	genl_put_string(&request, INFINI_A_VDEV_DEVICE_NAME, world.device_name);
	genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, MIB);
}

static int talk_new(uint32_t *id)
{
	return genl_talk(world_genl(), &request, false, take_id, id);
}

/* ---- tests ---- */

static void bound(void)
{
	uint32_t id;

	cgroups_make();
	world_make(&world, &(struct setup){ 0 });
	id = world_vdev("bound", world.device_name, MIB, 0666);
	CHECK_EQ(look(id).cgroup_id, 0);
	CHECK_ERR(bind_path(id, INSIDE), 0);
	CHECK_EQ(look(id).cgroup_id, cgroup_inode(INSIDE));
	test_row_err("in it", open_in(INSIDE, 0, id), 0);
	test_row_err("below", open_in(BELOW, 0, id), 0);
	test_row_err("beside", open_in(BESIDE, 0, id), -EACCES);
	test_row_err("above, as root", open_in(CGROUPS, 0, id), -EACCES);
	test_row_err("in it, as a user", open_in(INSIDE, OTHER, id), 0);
	test_row_err("beside, as a user", open_in(BESIDE, OTHER, id), -EACCES);
	CHECK_ERR(bind_path(id, BELOW), 0);
	test_row_err("above, once in it", open_in(INSIDE, 0, id), -EACCES);
	test_row_err("in the new one", open_in(BELOW, 0, id), 0);
	CHECK_ERR(bind_fd(id, -1), 0);
	CHECK_EQ(look(id).cgroup_id, 0);
	test_row_err("set free", open_in(BESIDE, 0, id), 0);
	CHECK_ERR(bind_path(id, CGROUPS), 0);
	test_row_err("bound to the root of all", open_in(BESIDE, 0, id), 0);
	cgroups_remove();
}

/* Both must allow it. */
static void bound_and_owned(void)
{
	uint32_t id;

	cgroups_make();
	world_make(&world, &(struct setup){ 0 });
	id = world_vdev("bound", world.device_name, MIB, 0600);
	CHECK_ERR(bind_path(id, INSIDE), 0);
	CHECK_ERR(open_in(INSIDE, OTHER, id), -EACCES);
	CHECK_ERR(open_in(INSIDE, 0, id), 0);
	cgroups_remove();
}

static void bound_from_birth(void)
{
	uint32_t id;
	int fd;

	cgroups_make();
	world_make(&world, &(struct setup){ 0 });
	fd = open(INSIDE, O_RDONLY | O_CLOEXEC);
	begin_new("born");
	genl_put(&request, INFINI_A_VDEV_CGROUP_FD, &fd, sizeof(fd));
	CHECK_ERR(talk_new(&id), 0);
	close(fd);
	CHECK_EQ(look(id).cgroup_id, cgroup_inode(INSIDE));
	CHECK_ERR(open_in(BESIDE, 0, id), -EACCES);
	CHECK_ERR(open_in(INSIDE, 0, id), 0);
	cgroups_remove();
}

/* Its directory made again is another group. */
static void bound_to_the_dead(void)
{
	uint32_t id;

	cgroups_make();
	world_make(&world, &(struct setup){ 0 });
	id = world_vdev("bound", world.device_name, MIB, 0666);
	CHECK_ERR(bind_path(id, BESIDE), 0);
	CHECK_ERR(open_in(BESIDE, 0, id), 0);
	AWAIT(!rmdir(BESIDE));
	cgroup_make(BESIDE);
	CHECK_ERR(open_in(BESIDE, 0, id), -EACCES);
	CHECK_ERR(open_in(CGROUPS, 0, id), -EACCES);
	CHECK(look(id).cgroup_id && look(id).cgroup_id != cgroup_inode(BESIDE));
	CHECK_ERR(bind_path(id, BESIDE), 0);
	CHECK_ERR(open_in(BESIDE, 0, id), 0);
	cgroups_remove();
}

static void bound_while_open(void)
{
	cgroups_make();
	world_make(&world, &(struct setup){ 0 });
	CHECK_ERR(bind_path(world.vdev, INSIDE), 0);
	CHECK_ERR(world_try_open(world.vdev), -EACCES);
	queue_make(world.client, 1);
	cgroups_remove();
}

/* A refusal changes nothing, and says what was wrong. */
static void no_cgroups(void)
{
	static const char *const paths[] = {
		"/", "/proc/self", "/dev/null", CGROUPS "/cgroup.procs", INSIDE "/cgroup.events",
	};
	uint32_t id;
	size_t i;
	int fd;

	cgroups_make();
	world_make(&world, &(struct setup){ 0 });
	id = world.vdev;
	CHECK_ERR(bind_path(id, INSIDE), 0);
	for (i = 0; i < ARRAY_SIZE(paths); i++)
		test_row_err(paths[i], bind_path(id, paths[i]), -EBADF);
	test_row_err("a number that is no descriptor", bind_fd(id, 1000), -EBADF);
	test_row_err("-2", bind_fd(id, -2), -EBADF);
	CHECK(strstr(world_genl()->message, "cgroup"));
	fd = open(BESIDE, O_RDONLY | O_CLOEXEC);
	CHECK_EQ(rmdir(BESIDE), 0);
	test_row_err("one that was removed", bind_fd(id, fd), -EBADF);
	close(fd);
	begin_set(id);
	genl_put_u64(&request, INFINI_A_VDEV_CGROUP_ID, cgroup_inode(INSIDE));
	test_row_err("an id", talk(), -EINVAL);
	CHECK_EQ(look(id).cgroup_id, cgroup_inode(INSIDE));
	cgroups_remove();
}

/* ---- one opener at a time ---- */

static int try_open(void *arg)
{
	return world_try_open(*(uint32_t *)arg);
}

static void exclusive(void)
{
	uint32_t id;
	int fd, twin;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	id = world_vdev("alone", world.device_name, MIB, 0600);
	CHECK_EQ(look(id).exclusive, 0);
	CHECK_ERR(set_exclusive(id, 1), 0);
	CHECK_EQ(look(id).exclusive, 1);
	fd = infini_vdev_open(world.control, NULL, id);
	CHECK(fd >= 0);
	CHECK_ERR(world_try_open(id), -EBUSY);
	/* No hint for who may not open it anyway. */
	CHECK_ERR(test_as_user(OTHER, try_open, &id), -EACCES);
	/* A copy of the file is the same opener. */
	twin = dup(fd);
	close(fd);
	CHECK_ERR(world_try_open(id), -EBUSY);
	queue_make(twin, 1);
	close(twin);
	CHECK_ERR(world_try_open(id), 0);
	CHECK_ERR(set_exclusive(id, 2), -EINVAL);
	CHECK_EQ(look(id).exclusive, 1);
}

/* The file that a fork shares is open until both are done with it. */
static void exclusive_and_fork(void)
{
	struct infini_queue_create create = { .depth = 1 };
	int fd, status, go[2];
	char node[32], byte;
	pid_t pid;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	close(world.client);
	CHECK_ERR(set_exclusive(world.vdev, 1), 0);
	snprintf(node, sizeof(node), "/dev/infini%u", world.vdev);
	fd = open(node, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(pipe(go), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) || infini_queue_create(fd, &create));
	}
	close(fd);
	CHECK_ERR(world_try_open(world.vdev), -EBUSY);
	close(go[1]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_ERR(world_try_open(world.vdev), 0);
}

/* Who is in stays in, and nobody comes after until all have left. */
static void exclusive_while_open(void)
{
	int second;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	second = world_client(&world);
	CHECK_ERR(set_exclusive(world.vdev, 1), 0);
	queue_make(second, 1);
	queue_make(world.client, 1);
	close(second);
	CHECK_ERR(world_try_open(world.vdev), -EBUSY);
	CHECK_ERR(set_exclusive(world.vdev, 0), 0);
	CHECK_ERR(world_try_open(world.vdev), 0);
	CHECK_ERR(set_exclusive(world.vdev, 1), 0);
	close(world.client);
	CHECK_ERR(world_try_open(world.vdev), 0);
}

struct race {
	atomic_int go, tried, over;
};

static int race_run(struct race *race, int control, uint32_t vdev)
{
	int fd;

	while (!race->go)
		sched_yield();
	fd = infini_vdev_open(control, NULL, vdev);
	race->tried++;
	/* Kept until all have tried. */
	while (!race->over)
		test_sleep_ms(1);
	return fd < 0 ? -fd : 0;
}

static int race_winners(struct race *race)
{
	enum { RACERS = 8 };
	int i, status, winners = 0;
	pid_t pids[RACERS];

	memset(race, 0, sizeof(*race));
	for (i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(race_run(race, world.control, world.vdev));
	}
	race->go = 1;
	AWAIT(race->tried == RACERS);
	race->over = 1;
	for (i = 0; i < RACERS; i++) {
		CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
		CHECK(!WEXITSTATUS(status) || WEXITSTATUS(status) == EBUSY);
		winners += !WEXITSTATUS(status);
	}
	return winners;
}

/* Of many that try together one gets it. */
static void exclusive_race(void)
{
	struct race *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int round;

	test_need_root();
	CHECK(race != MAP_FAILED);
	world_make(&world, &(struct setup){ 0 });
	close(world.client);
	CHECK_ERR(set_exclusive(world.vdev, 1), 0);
	fflush(stdout);
	for (round = 0; round < 20; round++)
		CHECK_EQ(race_winners(race), 1);
}

/* ---- where its clients are ---- */

#define MANY	(INFINI_VDEV_CLIENT_CGROUPS_MAX + 4)

struct where {
	uint32_t vdev, nr;
	uint64_t ids[MANY];
};

static void take_where(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	struct where *where = arg;
	struct genl_attr attr;

	(void)cmd;
	if (genl_u32(&attrs[INFINI_A_VDEV_ID]) != where->vdev)
		return;
	while (where->nr < MANY) {
		attr = genl_nth(world_genl(), INFINI_A_VDEV_CLIENT_CGROUP_ID, where->nr);
		if (!attr.data)
			return;
		CHECK_EQ(attr.bytes, sizeof(where->ids[0]));
		where->ids[where->nr++] = genl_u64(&attr);
	}
}

/* Asked for alone and among all, which must agree. */
static struct where look_where(uint32_t vdev)
{
	struct where one = { .vdev = vdev }, listed = { .vdev = vdev };

	genl_begin(&request, INFINI_CMD_VDEV_GET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, vdev);
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_where, &one), 0);
	genl_begin(&request, INFINI_CMD_VDEV_GET);
	CHECK_ERR(genl_talk(world_genl(), &request, true, take_where, &listed), 0);
	CHECK_EQ(listed.nr, one.nr);
	CHECK(!memcmp(listed.ids, one.ids, sizeof(one.ids)));
	return one;
}

static int enter_and_open(const char *path)
{
	int fd;

	cgroup_enter(path);
	fd = infini_vdev_open(world.control, NULL, world.vdev);
	CHECK(fd >= 0);
	return fd;
}

static void clients_where(void)
{
	int first, second, below;
	struct where where;
	uint64_t gone;

	cgroups_make();
	world_make(&world, &(struct setup){ 0 });
	close(world.client);
	CHECK_EQ(look_where(world.vdev).nr, 0);
	first = enter_and_open(INSIDE);
	second = enter_and_open(INSIDE);
	below = enter_and_open(BELOW);
	cgroup_enter(CGROUPS);
	where = look_where(world.vdev);
	CHECK_EQ(where.nr, 2);
	CHECK_EQ(where.ids[0], cgroup_inode(INSIDE));
	CHECK_EQ(where.ids[1], cgroup_inode(BELOW));
	close(first);
	CHECK_EQ(look_where(world.vdev).nr, 2);
	close(second);
	gone = cgroup_inode(BELOW);
	AWAIT(!rmdir(BELOW));
	where = look_where(world.vdev);
	CHECK_EQ(where.nr, 1);
	CHECK_EQ(where.ids[0], gone);
	close(below);
	CHECK_EQ(look_where(world.vdev).nr, 0);
	cgroups_remove();
}

static void path_of_many(char *path, int number)
{
	snprintf(path, PATH_MAX, INSIDE "/%d", number);
}

/* More than are told: those who came first are, and others when these have left. */
static void clients_everywhere(void)
{
	char path[PATH_MAX];
	uint64_t ids[MANY];
	struct where where;
	int fds[MANY], i;

	cgroups_make();
	world_make(&world, &(struct setup){ 0 });
	close(world.client);
	for (i = 0; i < MANY; i++) {
		path_of_many(path, i);
		cgroup_make(path);
		ids[i] = cgroup_inode(path);
		fds[i] = enter_and_open(path);
	}
	cgroup_enter(CGROUPS);
	where = look_where(world.vdev);
	CHECK_EQ(where.nr, INFINI_VDEV_CLIENT_CGROUPS_MAX);
	CHECK(!memcmp(where.ids, ids, where.nr * sizeof(ids[0])));
	close(fds[0]);
	where = look_where(world.vdev);
	CHECK_EQ(where.nr, INFINI_VDEV_CLIENT_CGROUPS_MAX);
	CHECK(!memcmp(where.ids, ids + 1, where.nr * sizeof(ids[0])));
	for (i = 0; i < MANY; i++) {
		path_of_many(path, i);
		AWAIT(!rmdir(path));
		if (i)
			close(fds[i]);
	}
	cgroups_remove();
}

/* ---- uuid ---- */

static int new_with_uuid(const char *name, const void *uuid, size_t bytes, uint32_t *id)
{
	begin_new(name);
	genl_put(&request, INFINI_A_VDEV_UUID, uuid, bytes);
	return talk_new(id);
}

static void uuids(void)
{
	static const uint8_t given[16] = { 0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const uint8_t zeros[16];
	uint32_t id, other;
	struct seen seen;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	seen = look(world.vdev);
	CHECK_EQ(seen.uuid[6] >> 4, 4);	/* random, RFC 9562 */
	CHECK_EQ(seen.uuid[8] >> 6, 2);
	other = world_vdev("other", world.device_name, MIB, 0600);
	CHECK(memcmp(seen.uuid, look(other).uuid, sizeof(seen.uuid)));
	CHECK_ERR(new_with_uuid("given", given, 16, &id), 0);
	CHECK(!memcmp(look(id).uuid, given, sizeof(given)));
	CHECK_ERR(new_with_uuid("twin", given, 16, &other), -ENOTUNIQ);
	CHECK_ERR(new_with_uuid("given", given, 16, &other), -EEXIST);
	CHECK_ERR(new_with_uuid("zeros", zeros, 16, &other), -EINVAL);
	CHECK_ERR(new_with_uuid("short", given, 15, &other), -ERANGE);
	CHECK_ERR(genl_vdev_delete(world_genl(), id, false), 0);
	CHECK_ERR(new_with_uuid("twin", given, 16, &id), 0);
	begin_set(id);
	genl_put(&request, INFINI_A_VDEV_UUID, seen.uuid, 16);
	CHECK_ERR(talk(), -EINVAL);
}

static const struct test tests[] = {
	{ "bound to a control group", bound },
	{ "bound, and owner and mode hold too", bound_and_owned },
	{ "bound when it is created", bound_from_birth },
	{ "bound to a control group that is gone", bound_to_the_dead },
	{ "bound while it is open", bound_while_open },
	{ "descriptors that are no control group", no_cgroups },
	{ "one opener at a time", exclusive },
	{ "one opener at a time, and fork", exclusive_and_fork },
	{ "one opener at a time, from now on", exclusive_while_open },
	{ "one opener of many that try at once", exclusive_race },
	{ "from which control groups it is open", clients_where },
	{ "from which of more than are told", clients_everywhere },
	{ "every vdev has a uuid", uuids },
};

TEST_MAIN(tests)
