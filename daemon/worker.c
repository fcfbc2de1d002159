// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The process that runs one vdev's work on one device.
 *
 * It attaches before it opens the backend: vendor libraries may take seconds to start, and the
 * module gives up on a vdev that nobody attaches to. It drops its privileges after, because
 * vendor libraries open their device nodes as root. Where there are none, and the backend runs what
 * clients have written, it drops them before: Landlock holds for threads that are made behind it.
 */
#include "worker.h"

#include "backend_load.h"
#include "child.h"
#include "exchange.h"
#include "file_map.h"
#include "log.h"
#include "refusal.h"
#include "sandbox.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <infini.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the backend complained of last. */
static char complaint[INFINI_END_REASON_MAX];

/* Where the reason of a sudden end is told. */
static int last_words_fd = -1;

/* What is critical is followed by abort(), in whichever thread: nobody tells the module afterwards. */
static void log_backend(int priority, const char *message)
{
	if (priority <= LOG_WARNING)
		snprintf(complaint, sizeof(complaint), "%s", message);
	if (priority <= LOG_CRIT && last_words_fd >= 0)
		infini_end_reason(last_words_fd, message);
	infini_log_limited(priority, message);
}

/* The signal handlers' way to the loop; there is one worker in a process. */
static struct infini_exchanger exchanger;

static void on_stop(int signal)
{
	(void)signal;
	infini_exchanger_stop(&exchanger);
}

static void on_retire(int signal)
{
	(void)signal;
	infini_exchanger_retire(&exchanger);
}

/* Until the loop runs there is nothing to give back. */
static void on_stop_early(int signal)
{
	(void)signal;
	_exit(INFINI_WORKER_STOPPED);
}

static void set_signals(void (*stop)(int), void (*retire)(int))
{
	struct sigaction action = { .sa_handler = retire };

	sigemptyset(&action.sa_mask);
	sigaction(INFINI_WORKER_RETIRE_SIGNAL, &action, NULL);
	infini_child_signals(stop);
}

static int attach(const struct infini_worker *worker, struct infini_executor_attach *attached,
		  struct infini_query *query)
{
	int ret;

	*attached = (struct infini_executor_attach){
		.protocol = INFINI_PROTOCOL_VERSION,
		.window = worker->config->window,
	};
	ret = infini_executor_attach(worker->executor_fd, attached);
	if (ret == -EPROTO)
		infini_err("infinid speaks protocol %d and the module another; install both from "
			   "one release", INFINI_PROTOCOL_VERSION);
	else if (ret)
		infini_err("cannot attach: %s", strerror(-ret));
	if (ret)
		return ret;
	*query = (struct infini_query){ 0 };
	ret = infini_query(worker->executor_fd, query);
	if (ret)
		infini_err("the module does not answer QUERY: %s", strerror(-ret));
	return ret;
}

/* Administrators get it with the event of the worker's end; the log has it whatever comes of that. */
static void tell_reason(const struct infini_worker *worker, const char *why)
{
	int ret = infini_end_reason(worker->executor_fd, why);

	if (ret)
		infini_warn("the module does not take the reason of the worker's end: %s",
			    strerror(-ret));
}

static void fail(const struct infini_worker *worker, const char *why)
{
	infini_err("%s", why);
	tell_reason(worker, why);
}

static bool compiles(const struct infini_worker *worker)
{
	return worker->needs & INFINI_BACKEND_NEEDS_COMPILER;
}

/* What clients' kernels print is nobody's to read, and the log is not theirs to write. */
static void close_stdout(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		close(null);
	}
}

static int make_scratch(const struct infini_worker *worker, char *scratch, size_t bytes)
{
	char why[512];
	int ret;

	scratch[0] = '\0';
	if (!compiles(worker))
		return 0;
	close_stdout();
	ret = infini_scratch_make(worker->config->run_dir, worker->config->uid, worker->config->gid,
				  scratch, bytes, why, sizeof(why));
	if (ret)
		fail(worker, why);
	return ret;
}

static int load_backend(const struct infini_worker *worker, const struct infini_backend_ops **ops,
			char *why, size_t why_bytes)
{
	infini_config_tell_backend(worker->config, worker->backend);
	return infini_backend_load(worker->config->backend_dir, worker->backend, ops, why, why_bytes);
}

static int open_backend(const struct infini_worker *worker, const struct infini_backend_ops *ops,
			const char *scratch, struct infini_backend **backend)
{
	const struct infini_backend_open open = {
		.device = worker->device,
		.pci = worker->pci,
		.library = worker->library,
		.remote = worker->remote,
		.threads_max = worker->config->threads_max,
		.segment_us = worker->config->segment_us,
		.scratch = compiles(worker) ? scratch : NULL,
		.log = log_backend,
	};
	int ret = ops->open(&open, backend);

	if (ret)
		infini_err("backend %s cannot open device %s: %s", worker->backend, worker->device,
			   strerror(-ret));
	return ret;
}

static struct infini_sandbox sandbox_of(const struct infini_worker *worker, const char *scratch)
{
	return (struct infini_sandbox){
		.pci = worker->pci,
		.uid = worker->config->uid,
		.gid = worker->config->gid,
		.device_class = worker->device_class,
		.scratch = compiles(worker) ? scratch : NULL,
		.is_remote = worker->remote,
		.filter = worker->opened ? &worker->filter : NULL,
	};
}

static int enter_sandbox(const struct infini_worker *worker, const char *scratch)
{
	const struct infini_sandbox sandbox = sandbox_of(worker, scratch);
	char why[256];
	int ret = infini_sandbox_enter(&sandbox, why, sizeof(why));

	if (ret)
		fail(worker, why);
	return ret;
}

static int serve(const struct infini_worker *worker, const struct infini_backend_ops *ops,
		 struct infini_backend *backend, const struct infini_executor_attach *attached,
		 const struct infini_query *query, bool retire)
{
	struct infini_objects objects;
	const uint64_t *word;
	int ret;

	ret = infini_yield_map(worker->executor_fd, attached->yield_offset, &word);
	if (ret) {
		infini_err("cannot map the yield word: %s", strerror(-ret));
		return ret;
	}
	ret = infini_objects_init(&objects, worker->executor_fd, ops, backend,
				  query->max_program_bytes);
	if (ret)
		return ret;
	ret = infini_exchanger_init(&exchanger, worker->executor_fd, worker->config->window,
				    attached->payload_bytes, word, &objects);
	if (ret)
		goto out;
	exchanger.retire = retire;
	set_signals(on_stop, on_retire);
	ret = infini_file_maps_watch();
	if (!ret)
		ret = infini_exchanger_serve(&exchanger);
	if (exchanger.job.lost)
		tell_reason(worker, complaint[0] ? complaint : "the device is lost");
	set_signals(on_stop_early, SIG_IGN);
	infini_exchanger_release(&exchanger);
out:
	infini_objects_release(&objects);
	return ret;
}

int infini_worker_open(struct infini_worker *worker)
{
	const struct infini_sandbox sandbox = sandbox_of(worker, "");
	const struct infini_backend_ops *ops;
	char why[512];
	int ret;

	ret = load_backend(worker, &ops, why, sizeof(why));
	if (ret) {
		infini_err("%s", why);
		return ret;
	}
	ret = infini_sandbox_calls_compile(&sandbox, &worker->filter);
	if (ret) {
		infini_err("sandbox: seccomp: %s", strerror(-ret));
		return ret;
	}
	worker->ops = ops;
	ret = open_backend(worker, ops, "", &worker->opened);
	if (ret)
		infini_sandbox_calls_free(&worker->filter);
	return ret;
}

/* The sandbox closed, and the backend open or @opened what is in the way. */
static int prepare(const struct infini_worker *worker, const struct infini_backend_ops **ops,
		   struct infini_backend **backend, int *opened)
{
	bool needs_nodes = worker->device_class == INFINI_CLASS_GPU ||
			   worker->device_class == INFINI_CLASS_NPU;
	bool sandbox_first = compiles(worker) && !needs_nodes;
	char scratch[PATH_MAX], why[512];
	int ret;

	*opened = 0;
	if (worker->opened) {
		*ops = worker->ops;
		*backend = worker->opened;
		return enter_sandbox(worker, "");
	}
	ret = make_scratch(worker, scratch, sizeof(scratch));
	if (ret)
		return ret;
	ret = load_backend(worker, ops, why, sizeof(why));
	if (ret)
		fail(worker, why);
	else if (sandbox_first)
		ret = enter_sandbox(worker, scratch);
	if (ret)
		return ret;
	*opened = open_backend(worker, *ops, scratch, backend);
	return sandbox_first ? 0 : enter_sandbox(worker, scratch);
}

/* As others see it: getpid() of the first process of a namespace is 1. */
static long visible_pid(void)
{
	char text[24] = "";

	return readlink("/proc/self", text, sizeof(text) - 1) > 0 ? strtol(text, NULL, 10) : getpid();
}

/*
 * The device does not open. A worker that left without a word would keep its clients waiting for ever:
 * each new one is an executor to the module. So what waits now ends, and what comes wakes another worker.
 */
static void refuse(const struct infini_worker *worker, uint32_t format,
		   const struct infini_executor_attach *attached, const struct infini_query *query)
{
	struct infini_backend_ops ops = infini_refusal_ops;

	ops.format = format;
	serve(worker, &ops, NULL, attached, query, true);
}

static int run(const struct infini_worker *worker)
{
	const struct infini_backend_ops *ops;
	struct infini_executor_attach attached;
	struct infini_backend *backend;
	struct infini_query query;
	int opened, ret;

	ret = attach(worker, &attached, &query);
	if (ret)
		return ret;
	ret = prepare(worker, &ops, &backend, &opened);
	if (ret)
		return ret;
	if (opened) {
		tell_reason(worker, complaint[0] ? complaint : strerror(-opened));
		refuse(worker, ops->format, &attached, &query);
		/* To the supervisor ENODEV is the module's word. */
		return opened == -ENODEV ? -EIO : opened;
	}
	infini_info("worker %ld serves on device %s, generation %llu", visible_pid(),
		    worker->device, (unsigned long long)attached.generation);
	ret = serve(worker, ops, backend, &attached, &query, false);
	ops->close(backend);
	return ret;
}

_Noreturn void infini_worker_main(const struct infini_worker *worker)
{
	char title[64];
	int ret;

	set_signals(on_stop_early, SIG_IGN);
	snprintf(title, sizeof(title), "infinid: vdev %s", worker->vdev_name);
	infini_child_settle(title, worker->executor_fd);
	infini_log_prefix(title + strlen("infinid: "));
	last_words_fd = worker->executor_fd;
	ret = run(worker);
	if (ret == -ENODEV) {
		infini_info("the vdev or its device is gone");
		_exit(INFINI_WORKER_GONE);
	}
	if (ret)
		infini_err("worker stops: %s", strerror(-ret));
	/* Not exit(): the destructors of vendor libraries expect what the sandbox took. */
	_exit(ret ? INFINI_WORKER_FAILED : INFINI_WORKER_STOPPED);
}
