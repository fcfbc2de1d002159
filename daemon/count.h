/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many rows a table has. */
#ifndef INFINI_DAEMON_COUNT_H
#define INFINI_DAEMON_COUNT_H

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

#endif /* INFINI_DAEMON_COUNT_H */
