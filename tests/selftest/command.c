// SPDX-License-Identifier: GPL-2.0-or-later
/* What every ioctl must take and refuse, whatever it does. */
#include <linux/ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"

static void row(int fd, const struct command *command, const char *what, void *arg,
		unsigned long nr, int want)
{
	char text[128];
	int got = test_ioctl(fd, nr, arg);

	snprintf(text, sizeof(text), "%s, %s", command->name, what);
	test_row_err(text, got, want);
	if (!got && command->undo)
		command->undo(fd, arg);
}

static void *copy(const struct command *command, size_t room, uint32_t size)
{
	uint8_t *arg = test_before_hole(room);

	memset(arg, 0, room);
	memcpy(arg, command->valid, room < command->size ? room : command->size);
	memcpy(arg, &size, sizeof(size));
	return arg;
}

static void sizes(int fd, const struct command *command)
{
	const uint32_t page = sysconf(_SC_PAGESIZE);
	uint8_t *arg;

	row(fd, command, "as it should be", copy(command, command->size, command->size),
	    command->nr, command->want);
	row(fd, command, "size 0", copy(command, command->size, 0), command->nr, -EINVAL);
	row(fd, command, "size 4", copy(command, command->size, 4), command->nr, -EINVAL);
	row(fd, command, "size one too small", copy(command, command->size, command->min - 1),
	    command->nr, -EINVAL);
	row(fd, command, "newer with a tail of zeros",
	    copy(command, command->size + 24, command->size + 24), command->nr, command->want);
	row(fd, command, "as large as can be", copy(command, page, page), command->nr,
	    command->want);
	row(fd, command, "larger than a page", copy(command, 2 * page, page + 8), command->nr,
	    -E2BIG);
	row(fd, command, "size 4294967295", copy(command, command->size, UINT32_MAX), command->nr,
	    -E2BIG);
	arg = copy(command, command->size + 24, command->size + 24);
	arg[command->size + 23] = 1;
	row(fd, command, "newer with a tail that is used", arg, command->nr, -E2BIG);
	if (command->min < command->size)
		row(fd, command, "older", copy(command, command->min, command->min), command->nr,
		    command->want);
}

static void pointers(int fd, const struct command *command)
{
	uint32_t size = command->size;
	uint8_t *arg;

	row(fd, command, "no pointer", NULL, command->nr, -EFAULT);
	row(fd, command, "a pointer into the kernel", (void *)-4096UL, command->nr, -EFAULT);
	arg = test_before_hole(8);
	memset(arg, 0, 8);
	memcpy(arg, &size, sizeof(size));
	row(fd, command, "a struct that reaches into a hole", arg, command->nr, -EFAULT);
}

static void flags(int fd, const struct command *command)
{
	uint32_t valid, bad;
	uint8_t *arg;
	int bit;

	memcpy(&valid, (const uint8_t *)command->valid + 4, sizeof(valid));
	for (bit = 1; bit < 32; bit++) {
		if (valid & 1U << bit)
			continue;
		arg = copy(command, command->size, command->size);
		bad = valid | 1U << bit;
		memcpy(arg + 4, &bad, sizeof(bad));
		row(fd, command, "an unknown flag", arg, command->nr, -EINVAL);
	}
}

void test_command(int fd, const struct command *command)
{
	void *arg = copy(command, command->size, command->size);

	sizes(fd, command);
	pointers(fd, command);
	flags(fd, command);
	row(fd, command, "number with a direction", arg, command->nr | _IOC_READ << _IOC_DIRSHIFT,
	    -ENOTTY);
	row(fd, command, "number with a size", arg,
	    command->nr | (command->size & 0xff) << _IOC_SIZESHIFT, -ENOTTY);
	row(fd, command, "number of another type", arg, _IO('x', _IOC_NR(command->nr)), -ENOTTY);
	row(fd, command, "number that nothing has", arg, _IO(INFINI_IOC_TYPE, 0xff), -ENOTTY);
}

void test_wrong_fields(int fd, const struct command *command, const struct wrong_field *fields,
		       size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		uint8_t *arg = copy(command, command->size, command->size);

		memcpy(arg + fields[i].offset, &fields[i].value,
		       fields[i].bytes < 8 ? fields[i].bytes : 8);
		row(fd, command, fields[i].name, arg, command->nr, fields[i].want);
	}
}
