/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names that somebody else chose, made fit for a terminal.
 */
#ifndef INFINI_BPF_PRINTABLE_H
#define INFINI_BPF_PRINTABLE_H

static inline void printable(char *name)
{
	for (; *name; name++)
		if (*name < ' ' || *name > '~')
			*name = '?';
}

#endif /* INFINI_BPF_PRINTABLE_H */
