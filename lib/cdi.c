// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writes the file in which container runtimes find the vdevs.
 *
 * Only fields of CDI 0.5.0, because runtimes refuse a file with one that they do not know. A vdev's
 * node appears twice: as /dev/infini, which every program opens, and under its own name, so that
 * two vdevs in one container can be told apart. Runtimes that may not make nodes (user namespaces)
 * show the host's file of the same name instead: then /dev/infini is the host's, INFINI_VDEV says
 * which vdev is meant, and the module says who may open it.
 */
#include "cdi.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_FILE	INFINI_CDI_FILE ".new"
#define LOCK_FILE	"." INFINI_CDI_FILE ".lock"	/* runtimes read *.json and *.yaml alone */

struct infini_cdi_writer {
	FILE *out;
	struct infini_cdi_result *result;
};

bool infini_cdi_name_valid(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if (!isascii(name[i]) || !(isalnum(name[i]) || strchr("._-:", name[i])))
			return false;
	return length && isalnum(name[0]) && isalnum(name[length - 1]);
}

int infini_cdi_path(const char *dir, char path[PATH_MAX])
{
	int length = snprintf(path, PATH_MAX, "%s/" INFINI_CDI_FILE, dir);

	return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- what the file says ------------------------------------------------------------ */

static void infini_cdi_string(FILE *out, const char *text)
{
	putc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c < ' ' || *c == 0x7f)
			fprintf(out, "\\u%04x", *c);
		else
			putc(*c, out);
	}
	putc('"', out);
}

/*
 * Two devices of the file, one edit: @name is a vdev's name or its id. The mode is 0666, as the
 * host's: the module decides. crun in a user namespace would take its absence for 0.
 */
static void infini_cdi_device(struct infini_cdi_writer *w, const char *name,
			      const struct infini_admin_vdev *vdev)
{
	static const char node[] =
		"{ \"path\": \"/dev/infini%s\", \"hostPath\": \"/dev/infini%s\", \"fileMode\": 438, \"permissions\": \"rw\" }";
	char id[16];

	snprintf(id, sizeof(id), "%u", vdev->id);
	fputs("\t\t{ \"name\": ", w->out);
	infini_cdi_string(w->out, name);
	fprintf(w->out, ", \"containerEdits\": {\n\t\t\t\"env\": [ \"INFINI_VDEV=%s\" ],\n"
		"\t\t\t\"deviceNodes\": [\n\t\t\t\t", vdev->name);
	fprintf(w->out, node, "", id);
	fputs(",\n\t\t\t\t", w->out);
	fprintf(w->out, node, id, id);
	fputs("\n\t\t\t] } }", w->out);
}

/* Names come from the module: a foreign one must not become part of the file's syntax. */
static bool infini_cdi_name_plain(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789._-")];
}

static int infini_cdi_vdev(const struct infini_admin_vdev *vdev, void *arg)
{
	struct infini_cdi_writer *w = arg;
	char id[16];

	if (vdev->minor < 0 || !infini_cdi_name_plain(vdev->name))
		return 0;
	if (w->result->nr_vdevs++)
		fputs(",\n", w->out);
	snprintf(id, sizeof(id), "%u", vdev->id);
	infini_cdi_device(w, id, vdev);
	if (!infini_cdi_name_valid(vdev->name)) {
		w->result->nr_unnamed++;
		return 0;
	}
	fputs(",\n", w->out);
	infini_cdi_device(w, vdev->name, vdev);
	return 0;
}

static void infini_cdi_mount(FILE *out, const char *host, const char *name)
{
	fputs("\t\t\t{ \"hostPath\": ", out);
	infini_cdi_string(out, host);
	fprintf(out, ",\n\t\t\t  \"containerPath\": \"" INFINI_CDI_INSIDE "/%s\",\n"
		"\t\t\t  \"options\": [ \"ro\", \"nosuid\", \"nodev\", \"bind\" ] }", name);
}

static const char *infini_cdi_present(const char *path)
{
	return path && *path == '/' && !access(path, R_OK) ? path : NULL;
}

/* What every container with a vdev gets. A mount of a file that is not there would stop it. */
static void infini_cdi_common(FILE *out, const struct infini_cdi *cdi)
{
	const char *plugin = infini_cdi_present(cdi->plugin);
	const char *library = infini_cdi_present(cdi->library);

	if (!plugin && !library)
		return;
	fputs(",\n\t\"containerEdits\": {\n", out);
	if (plugin)
		fputs("\t\t\"env\": [ \"GGML_BACKEND_PATH=" INFINI_CDI_INSIDE
		      "/libggml-infini.so\" ],\n", out);
	fputs("\t\t\"mounts\": [\n", out);
	if (plugin)
		infini_cdi_mount(out, plugin, "libggml-infini.so");
	if (plugin && library)
		fputs(",\n", out);
	if (library)
		infini_cdi_mount(out, library, "libinfini.so.0");
	fputs("\n\t\t]\n\t}", out);
}

static int infini_cdi_render(const struct infini_cdi *cdi, struct infini_admin *admin,
			     struct infini_cdi_result *result, char **text, size_t *length)
{
	struct infini_cdi_writer w = { .result = result };
	int ret;

	w.out = open_memstream(text, length);
	if (!w.out)
		return -ENOMEM;
	fputs("{\n\t\"cdiVersion\": \"0.5.0\",\n\t\"kind\": \"" INFINI_CDI_KIND "\",\n"
	      "\t\"devices\": [\n", w.out);
	ret = infini_admin_vdev_list(admin, infini_cdi_vdev, &w);
	fputs("\n\t]", w.out);
	infini_cdi_common(w.out, cdi);
	fputs("\n}\n", w.out);
	if (fclose(w.out) && !ret)
		ret = -ENOMEM;
	return ret;
}

/* ---- the file ---------------------------------------------------------------------- */

static int infini_cdi_open_dir(const char *path)
{
	int dir;

	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -errno : dir;
}

/* Not the directory: everybody may open that, and then keep it locked. */
static int infini_cdi_lock(int dir)
{
	int lock = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (lock < 0)
		return -errno;
	while (flock(lock, LOCK_EX)) {
		int err = -errno;

		if (err == -EINTR)
			continue;
		close(lock);
		return err;
	}
	return lock;
}

static bool infini_cdi_same(int dir, const char *text, size_t length)
{
	int fd = openat(dir, INFINI_CDI_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char part[4096];
	size_t at = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while ((got = read(fd, part, sizeof(part))) > 0) {
		if ((size_t)got > length - at || memcmp(part, text + at, (size_t)got))
			break;
		at += (size_t)got;
	}
	close(fd);
	return !got && at == length;
}

static int infini_cdi_fill(int fd, const char *text, size_t length)
{
	ssize_t put;

	while (length) {
		put = write(fd, text, length);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		text += put;
		length -= (size_t)put;
	}
	return fchmod(fd, 0644) || fsync(fd) ? -errno : 0;
}

static int infini_cdi_replace(int dir, const char *text, size_t length)
{
	int fd, ret;

	/* Left by a writer that was killed, or put there by somebody else. */
	unlinkat(dir, NEW_FILE, 0);
	fd = openat(dir, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	ret = infini_cdi_fill(fd, text, length);
	close(fd);
	if (!ret && renameat(dir, NEW_FILE, dir, INFINI_CDI_FILE))
		ret = -errno;
	if (ret)
		unlinkat(dir, NEW_FILE, 0);
	else if (fsync(dir))
		ret = -errno;
	return ret;
}

static int infini_cdi_unlink(int dir)
{
	if (unlinkat(dir, INFINI_CDI_FILE, 0))
		return -errno;
	return fsync(dir) ? -errno : 0;
}

static int infini_cdi_update_locked(int dir, const struct infini_cdi *cdi,
				    struct infini_admin *admin, struct infini_cdi_result *result)
{
	char *text = NULL;
	size_t length;
	int ret = infini_cdi_render(cdi, admin, result, &text, &length);

	if (!ret && !result->nr_vdevs) {
		ret = infini_cdi_unlink(dir);
		result->changed = !ret;
		if (ret == -ENOENT)
			ret = 0;
	} else if (!ret && !infini_cdi_same(dir, text, length)) {
		ret = infini_cdi_replace(dir, text, length);
		result->changed = !ret;
	}
	free(text);
	return ret;
}

int infini_cdi_update(const struct infini_cdi *cdi, struct infini_admin *admin,
		      struct infini_cdi_result *result)
{
	int dir, lock, ret;

	*result = (struct infini_cdi_result){ 0 };
	dir = infini_cdi_open_dir(cdi->dir);
	if (dir < 0)
		return dir;
	lock = infini_cdi_lock(dir);
	ret = lock < 0 ? lock : infini_cdi_update_locked(dir, cdi, admin, result);
	if (lock >= 0)
		close(lock);
	close(dir);
	return ret;
}

int infini_cdi_remove(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int lock, ret;

	if (dir < 0)
		return -errno;
	lock = infini_cdi_lock(dir);
	ret = lock < 0 ? lock : infini_cdi_unlink(dir);
	if (lock >= 0)
		close(lock);
	close(dir);
	return ret;
}
