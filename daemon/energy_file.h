/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of sysfs that hold one line. */
#ifndef INFINI_DAEMON_ENERGY_FILE_H
#define INFINI_DAEMON_ENERGY_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Its first line, without the newline. 0 or -errno. */
int infini_energy_file_text(const char *path, char *text, size_t bytes);
/* -EINVAL when it holds anything but a number. */
int infini_energy_file_u64(const char *path, uint64_t *value);

#endif /* INFINI_DAEMON_ENERGY_FILE_H */
