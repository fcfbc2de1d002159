// SPDX-License-Identifier: GPL-2.0-or-later
/* Owners as people write them: user, user:group, numbers for either. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "units.h"

#define ID_MAX	(UINT32_MAX - 1)	/* all ones means "no id" */

static bool infini_owner_number(const char *text, uint32_t *id)
{
	uint64_t value;

	if (infini_number_parse(text, &value) || value > ID_MAX)
		return false;
	*id = value;
	return true;
}

static int infini_owner_group(struct infini_ctl *ctl, const char *name, uint32_t *gid)
{
	const struct group *group = getgrnam(name);

	if (group)
		*gid = group->gr_gid;
	else if (!infini_owner_number(name, gid))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "--owner: no group \"%s\"", name);
	return 0;
}

int infini_owner_parse(struct infini_ctl *ctl, const char *text, uint32_t *uid, uint32_t *gid)
{
	const char *colon = strchr(text, ':');
	const struct passwd *user;
	char name[64];
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	if (!len || len >= sizeof(name) || (colon && !colon[1]))
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--owner \"%s\": write USER or USER:GROUP", text);
	memcpy(name, text, len);
	name[len] = '\0';
	user = getpwnam(name);
	if (!user && infini_owner_number(name, uid))
		user = getpwuid(*uid);
	else if (!user)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "--owner: no user \"%s\"", name);
	if (user) {
		*uid = user->pw_uid;
		*gid = user->pw_gid;
	}
	if (colon)
		return infini_owner_group(ctl, colon + 1, gid);
	if (!user)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "--owner: user %s has no group of its own: write %s:GROUP", name,
				   name);
	return 0;
}

void infini_owner_text(uint32_t uid, uint32_t gid, char *text, size_t size)
{
	const struct passwd *user = getpwuid(uid);
	const struct group *group;
	char name[48];

	if (user)
		snprintf(name, sizeof(name), "%s", user->pw_name);
	else
		snprintf(name, sizeof(name), "%u", uid);
	group = getgrgid(gid);
	if (group)
		snprintf(text, size, "%s:%s", name, group->gr_name);
	else
		snprintf(text, size, "%s:%u", name, gid);
}
