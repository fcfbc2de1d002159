/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The example backend's program format. Clients need it as well: that of a real backend lies in
 * uapi/infini/NAME.h.
 */
#ifndef INFINI_BACKENDS_EXAMPLE_H
#define INFINI_BACKENDS_EXAMPLE_H

#include <linux/infini.h>

#define EXAMPLE_FORMAT	INFINI_FORMAT_PRIVATE
#define EXAMPLE_MAGIC	0x4c504d45U		/* "EMPL" */

enum example_op { EXAMPLE_ADD = 1, EXAMPLE_XOR = 2 };

/*
 * Each of the first @bytes bytes of binding 0, with @operand added or exclusive-ored, goes to the
 * same place in binding 1. No arguments. The job's value is @bytes.
 */
struct example_program {
	__u32 magic;
	__u32 op;				/* enum example_op */
	__aligned_u64 bytes;			/* at least 1 */
	__u8 operand;
	__u8 pad[7];				/* 0 */
};

#endif /* INFINI_BACKENDS_EXAMPLE_H */
