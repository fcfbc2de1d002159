// SPDX-License-Identifier: GPL-2.0-or-later
/* One line per event, to stderr in the journal's form or to syslog. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES	1024
#define LIMITED_LINES	20
#define LIMITED_PERIOD_S 10

static struct {
	bool syslog;
	bool journal;
	int level;
	char prefix[64];
} log_state = { .level = LOG_INFO };

/* systemd says in $JOURNAL_STREAM which file the journal reads: "device:inode". */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void infini_log_open(bool daemon)
{
	log_state.syslog = daemon;
	log_state.journal = !daemon && stderr_is_journal();
	/* The sandbox of a worker allows no new socket: connect now. */
	if (daemon)
		openlog("infinid", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void infini_log_reopen(void)
{
	if (log_state.syslog) {
		closelog();
		openlog("infinid", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	}
}

void infini_log_level(int priority)
{
	log_state.level = priority;
}

void infini_log_prefix(const char *prefix)
{
	snprintf(log_state.prefix, sizeof(log_state.prefix), "%s", prefix);
}

static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

static const char *word_of(int priority)
{
	if (priority <= LOG_ERR)
		return "error: ";
	return priority == LOG_WARNING ? "warning: " : "";
}

/* Control characters become '?', so that a message stays one line. */
static void log_message(int priority, const char *message)
{
	const char *colon = log_state.prefix[0] ? ": " : "";
	char text[LINE_BYTES - 128], line[LINE_BYTES];
	int length;

	if (priority > log_state.level)
		return;
	snprintf(text, sizeof(text), "%s", message);
	make_printable(text);
	if (log_state.syslog) {
		syslog(priority, "%s%s%s", log_state.prefix, colon, text);
		return;
	}
	if (log_state.journal)
		length = snprintf(line, sizeof(line), "<%d>%s%s%s\n", priority, log_state.prefix,
				  colon, text);
	else
		length = snprintf(line, sizeof(line), "infinid: %s%s%s%s\n", log_state.prefix,
				  colon, word_of(priority), text);
	/* One write: lines of several processes do not mix. A log that is gone is no error. */
	while (write(STDERR_FILENO, line, (size_t)length) < 0 && errno == EINTR)
		;
}

void infini_log(int priority, const char *format, ...)
{
	char text[LINE_BYTES];
	va_list args;

	if (priority > log_state.level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_message(priority, text);
}

void infini_log_limited(int priority, const char *message)
{
	static struct {
		time_t since;
		unsigned int lines;
	} period;
	struct timespec now;

	if (priority > log_state.level)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!period.lines || now.tv_sec - period.since >= LIMITED_PERIOD_S) {
		if (period.lines > LIMITED_LINES)
			infini_notice("%u more messages about clients were left out",
				      period.lines - LIMITED_LINES);
		period.since = now.tv_sec;
		period.lines = 0;
	}
	if (period.lines++ < LIMITED_LINES)
		log_message(priority, message);
}
