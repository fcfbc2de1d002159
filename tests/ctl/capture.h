/* SPDX-License-Identifier: GPL-2.0-or-later */
/* infinictl run inside the test, with what it prints. */
#ifndef TESTS_CTL_CAPTURE_H
#define TESTS_CTL_CAPTURE_H

/* What the last run printed; belongs to capture_run(). */
extern char *out, *err;

/* "infinictl @line", split at spaces; its exit status. */
int capture_run(const char *line);

#endif /* TESTS_CTL_CAPTURE_H */
