/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the supervisor counts and tells: energy, metrics, the ledger. Without any of it infinid does its work. */
#ifndef INFINI_DAEMON_METERING_H
#define INFINI_DAEMON_METERING_H

#include "fdstore.h"
#include "supervisor_state.h"

/* A device came: its energy is read from now on, where it can be. */
void infini_metering_add(struct supervisor *s, const struct infini_backend_device *found);

/* The pages that a monitoring system asks for; due is when they want to run without a request. */
void infini_metering_start_pages(struct supervisor *s);
/* They are told on a socket unit's socket too, of which this becomes the owner; false when it does not. */
bool infini_metering_take_socket(struct supervisor *s, const struct infini_fdstore_file *file);
void infini_metering_run_pages(struct supervisor *s);
int64_t infini_metering_pages_due(const struct supervisor *s);
void infini_metering_stop_pages(struct supervisor *s);

/* The ledger: an interval is entered at its end, and what a deleted vdev used with the next one. */
void infini_metering_open_ledger(struct supervisor *s);
void infini_metering_enter(struct supervisor *s);
void infini_metering_vdev_gone(struct supervisor *s, const struct infini_admin_event *event);

#endif /* INFINI_DAEMON_METERING_H */
