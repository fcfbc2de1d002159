// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl events */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "json.h"

static int64_t infini_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void infini_event_print(const struct infini_admin_event *event)
{
	int64_t ns = infini_clock(CLOCK_REALTIME) - infini_clock(CLOCK_MONOTONIC) + event->time_ns;
	time_t seconds = ns / 1000000000;
	struct tm tm;
	char when[16];

	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&seconds, &tm));
	printf("%s.%03d  %-17s  %s %s", when, (int)(ns / 1000000 % 1000),
	       infini_admin_event_word(event->type), event->vdev_id ? "vdev" : "device", event->name);
	if (event->pid)
		printf("  pid %u", event->pid);
	if (event->reason[0])
		printf("  %s", event->reason);
	putchar('\n');
}

/* Everything that waits. */
static int infini_events_drain(struct infini_ctl *ctl, bool json)
{
	struct infini_admin_event event;
	int err;

	while (!(err = infini_admin_event_read(ctl->admin, &event))) {
		int status = json ? infini_json_print_line(ctl, infini_json_event(&event)) : 0;

		if (status)
			return status;
		if (!json)
			infini_event_print(&event);
	}
	if (err == -ENOBUFS)
		fputs("infinictl: events came too fast and some were lost: list again\n", stderr);
	else if (err != -EAGAIN)
		return infini_fail_request(ctl, err, "reading events");
	if (fflush(stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "standard output: %s",
				   strerror(errno));
	return 0;
}

static int infini_events_follow(struct infini_ctl *ctl, bool json)
{
	int signals = infini_signals_open();
	int ready, status = 0;

	if (signals < 0)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "signals: %s", strerror(-signals));
	do {
		ready = infini_signals_wait(signals, infini_admin_events_fd(ctl->admin), -1);
		if (ready > 0)
			status = infini_events_drain(ctl, json);
	} while (ready > 0 && !status);
	close(signals);
	return status;
}

static int infini_events_run(struct infini_ctl *ctl, int argc, char **argv)
{
	bool json;
	int err, status;

	if (!infini_options_json(ctl, argc, argv, &json, &status))
		return status;
	status = infini_options_words(ctl, argc, 0, "nothing");
	if (status)
		return status;
	err = infini_admin_events_open(&ctl->admin);
	return err ? infini_fail_connect(ctl, err) : infini_events_follow(ctl, json);
}

const struct infini_command infini_events_command = {
	.name = "events",
	.args = "[--json]",
	.summary = "Follow what happens to devices and vdevs, until Ctrl-C",
	.run = infini_events_run,
};
