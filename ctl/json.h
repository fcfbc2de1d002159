/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices, vdevs and events as JSON. */
#ifndef INFINI_CTL_JSON_H
#define INFINI_CTL_JSON_H

#include <json-c/json.h>

#include "ctl.h"

/* Each returns an object that the caller puts, or NULL without memory. */
struct json_object *infini_json_device(const struct infini_admin_device *device);
/* @hist: with the histograms of waits and token times, which are long. */
struct json_object *infini_json_vdev(const struct infini_admin_vdev *vdev, bool hist);
struct json_object *infini_json_event(const struct infini_admin_event *event);

void infini_json_set_u64(struct json_object *object, const char *key, uint64_t value);
/* NAME_p50_ns and NAME_p99_ns. */
void infini_json_set_quantiles(struct json_object *object, const char *name, const uint64_t *hist);
void infini_json_set_string(struct json_object *object, const char *key, const char *value);

/* Print and put @object: over several lines, or on one. 0 or an exit status. */
int infini_json_print(struct infini_ctl *ctl, struct json_object *object);
int infini_json_print_line(struct infini_ctl *ctl, struct json_object *object);

#endif /* INFINI_CTL_JSON_H */
