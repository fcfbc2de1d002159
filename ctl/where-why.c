// SPDX-License-Identifier: GPL-2.0-or-later
/* Why a vdev goes where it goes, and why it does not go elsewhere: to people and as JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "units.h"
#include "where.h"

const char *infini_where_noun(const struct infini_where *where, bool many, char *text, size_t size)
{
	const struct infini_placement_request *r = &where->request;
	bool any = r->device_class == INFINI_PLACEMENT_ANY_CLASS;
	FILE *out = fmemopen(text, size, "w");

	text[0] = '\0';
	if (!out)
		return text;
	if (any || r->device_class == INFINI_CLASS_OTHER)
		fprintf(out, "%sdevice%s", any ? "" : "other ", many ? "s" : "");
	else
		fprintf(out, "%s%s", infini_admin_device_class_word(r->device_class), many ? "s" : "");
	if (r->backend)
		fprintf(out, " of backend %.32s", r->backend);
	if (r->vendor)
		fprintf(out, " of vendor %.64s", r->vendor);
	if (r->pool)
		fprintf(out, " of pool %.64s", r->pool);
	fprintf(out, " with %s", infini_bytes_text(r->memory_bytes).s);
	if (r->kind != INFINI_PLACEMENT_ANY_KIND)
		fprintf(out, " of %s memory", r->kind == INFINI_PLACEMENT_UNIFIED ? "unified" : "discrete");
	if (!r->overcommit)
		fputs(" free", out);
	if (r->floor_ppm)
		fprintf(out, " and a floor of %s", infini_percent_text(r->floor_ppm).s);
	fclose(out);
	text[size - 1] = '\0';
	return text;
}

/* A part as people compare them: whole percents. */
static struct infini_text infini_full_text(uint32_t ppm)
{
	struct infini_text text;

	snprintf(text.s, sizeof(text.s), "%.0f%%", ppm / 1e4);
	return text;
}

void infini_where_why(const struct infini_where *where,
			     const struct infini_placement_candidate *c, FILE *out)
{
	const struct infini_placement_request *r = &where->request;
	const struct infini_admin_device *d = c->device;
	const char *unusable = infini_hardware_why(&where->hardware, d->name);

	switch (c->verdict) {
	case INFINI_PLACEMENT_FITS:
		fprintf(out, "%s", infini_full_text(c->full_ppm).s);
		break;
	case INFINI_PLACEMENT_CLASS:
		fprintf(out, "class %s", infini_admin_device_class_word(d->device_class));
		break;
	case INFINI_PLACEMENT_BACKEND:
		fprintf(out, "backend %s", d->backend);
		break;
	case INFINI_PLACEMENT_VENDOR:
		fprintf(out, c->vendor ? "vendor %s" : "vendor unknown, described as %s",
			c->vendor ? c->vendor : d->description);
		break;
	case INFINI_PLACEMENT_POOL:
		fprintf(out, "not in pool %s", r->pool);
		break;
	case INFINI_PLACEMENT_KIND:
		fprintf(out, "its memory is %s",
			r->kind == INFINI_PLACEMENT_UNIFIED ? "discrete" : "unified");
		break;
	case INFINI_PLACEMENT_OFFLINE:
		fprintf(out, "offline%s%s", unusable ? ": " : "", unusable ? unusable : "");
		break;
	case INFINI_PLACEMENT_SLOT:
		fprintf(out, "a floor of %s is more than one of its %u slots gives",
			infini_percent_text(r->floor_ppm).s, d->slots);
		break;
	case INFINI_PLACEMENT_FLOOR:
		fprintf(out, "floors of %s are promised", infini_percent_text(d->floors_ppm).s);
		break;
	case INFINI_PLACEMENT_MEMORY:
		if (r->overcommit)
			fprintf(out, "has %s", infini_bytes_text(d->memory_bytes).s);
		else
			fprintf(out, "%s of %s free", infini_bytes_text(infini_memory_left(d, 0)).s,
				infini_bytes_text(d->memory_bytes).s);
		break;
	case INFINI_PLACEMENT_REFUSED:
		fprintf(out, "refused by the module: %s", where->sentences[c - where->candidates]);
		break;
	}
}

/* Why there. */
static void infini_where_because(const struct infini_where *where, FILE *out)
{
	const struct infini_placement_candidate *c = &where->candidates[where->at];
	bool many = where->nr_fit > 1, next = where->at + 1 < where->nr_fit;
	char noun[256];

	infini_where_noun(where, many, noun, sizeof(noun));
	if (!many) {
		fprintf(out, "the only %s", noun);
		return;
	}
	fprintf(out, "the %s%s of %zu %s, %s promised with it", where->at ? "next " : "",
		where->request.order == INFINI_PLACEMENT_PACK ? "fullest" : "emptiest", where->nr_fit, noun,
		infini_full_text(c->full_ppm).s);
	if (next && infini_placement_tied(c, c + 1))
		fprintf(out, " as on %s, the first by name", c[1].device->name);
}

void infini_where_print(const struct infini_where *where, const char *head, FILE *out)
{
	if (where->named)
		return;
	fprintf(out, "%s on %s: ", head, where->candidates[where->at].device->name);
	infini_where_because(where, out);
	for (size_t i = 0; i < where->nr; i++) {
		if (i == where->at)
			continue;
		fprintf(out, "; %s: ", where->candidates[i].device->name);
		infini_where_why(where, &where->candidates[i], out);
	}
	putc('\n', out);
}

/* ---- json ---- */

static struct json_object *infini_where_candidate_json(const struct infini_where *where,
						       const struct infini_placement_candidate *c)
{
	struct json_object *object = json_object_new_object();
	bool fits = c->verdict == INFINI_PLACEMENT_FITS;
	char *why = NULL;
	size_t length;
	FILE *out = fits ? NULL : open_memstream(&why, &length);

	if (out) {
		infini_where_why(where, c, out);
		fclose(out);
	}
	json_object_object_add(object, "device", json_object_new_string(c->device->name));
	json_object_object_add(object, "fits", json_object_new_boolean(fits));
	json_object_object_add(object, "promised_ppm", fits ? json_object_new_uint64(c->full_ppm) : NULL);
	json_object_object_add(object, "why", why ? json_object_new_string(why) : NULL);
	free(why);
	return object;
}

struct json_object *infini_where_json(const struct infini_where *where)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();
	bool pack = where->request.order == INFINI_PLACEMENT_PACK;
	char *because = NULL;
	size_t length;
	FILE *out = where->at < where->nr_fit ? open_memstream(&because, &length) : NULL;

	if (out) {
		infini_where_because(where, out);
		fclose(out);
	}
	for (size_t i = 0; i < where->nr; i++)
		json_object_array_add(array, infini_where_candidate_json(where, &where->candidates[i]));
	json_object_object_add(object, "order", json_object_new_string(pack ? "pack" : "spread"));
	json_object_object_add(object, "why", because ? json_object_new_string(because) : NULL);
	json_object_object_add(object, "candidates", array);
	free(because);
	return object;
}
