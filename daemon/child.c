// SPDX-License-Identifier: GPL-2.0-or-later
/* What a child of the supervisor does first, since it goes on in the same program. */
#include "child.h"

#include "log.h"
#include "proctitle.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

void infini_child_signals(void (*on_term)(int signal))
{
	struct sigaction action = { .sa_flags = 0 };
	sigset_t none;

	sigemptyset(&action.sa_mask);
	action.sa_handler = on_term;
	sigaction(SIGTERM, &action, NULL);
	/* A terminal's interrupt and hang-up. */
	action.sa_handler = SIG_IGN;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGPIPE, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void infini_child_settle(const char *title, int keep)
{
	infini_proctitle_set(title);
	if (keep > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned int)keep - 1, 0);
	close_range((unsigned int)keep + 1, ~0U, 0);
	infini_log_reopen();
}

void infini_child_pass(int gate)
{
	char byte;

	if (read(gate, &byte, 1) != 1)
		_exit(0);
	close(gate);
}
