/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names that somebody else chose, made fit for a terminal or a label.
 */
#ifndef INFINI_LIB_PRINTABLE_H
#define INFINI_LIB_PRINTABLE_H

static inline void printable(char *name)
{
	for (; *name; name++)
		if (*name < ' ' || *name > '~')
			*name = '?';
}

#endif /* INFINI_LIB_PRINTABLE_H */
