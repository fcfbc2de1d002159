// SPDX-License-Identifier: GPL-2.0-or-later
/* Uuids as people write them: 8-4-4-4-12 hexadecimal digits. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static bool infini_uuid_dash(size_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

int infini_uuid_parse(struct infini_ctl *ctl, const char *word, uint8_t *uuid)
{
	size_t at = 0;

	while (word[at] && (infini_uuid_dash(at) ? word[at] == '-' :
						   isxdigit((unsigned char)word[at])))
		at++;
	if (word[at] || at != INFINI_UUID_TEXT - 1)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--uuid %s: write 32 hexadecimal digits as 8-4-4-4-12", word);
	for (int i = 0; i < INFINI_VDEV_UUID_BYTES; i++) {
		unsigned int byte;

		word += *word == '-';
		sscanf(word, "%2x", &byte);
		uuid[i] = byte;
		word += 2;
	}
	return 0;
}

void infini_uuid_text(const uint8_t *uuid, char *text)
{
	for (int i = 0; i < INFINI_VDEV_UUID_BYTES; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		text += sprintf(text, "%02x", uuid[i]);
	}
}
