/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libinfini-admin for tests of infinictl: devices and vdevs that a test wrote down. */
#ifndef TESTS_CTL_FAKE_ADMIN_H
#define TESTS_CTL_FAKE_ADMIN_H

#include "infini-admin.h"

#define FAKE_MAX	4

/**
 * struct fake_admin - what there is, and what was asked
 * @open_err: of infini_admin_open() and infini_admin_events_open()
 * @list_err: of listing and of looking up
 * @change_err: of create, set and delete
 * @refuse_err: of create on the device at that index
 * @refusal: the module's words for that
 * @tried: devices on which a vdev was to be created, between blanks
 * @sentence: the module's words for any of them
 * @events: to be read; then -EAGAIN, and SIGINT is raised, as a person would end it
 * @energy_uj: of cpu0; 0 when nothing measures it
 * @energy_step_uj: what it uses from one look to the next
 * @nr_changes: create, set and delete that got through to the module
 */
struct fake_admin {
	int open_err;
	int list_err;
	int change_err;
	int refuse_err[FAKE_MAX];
	const char *refusal;
	bool refused;
	char tried[FAKE_MAX * INFINI_NAME_MAX];
	const char *sentence;
	struct infini_admin_device devices[FAKE_MAX];
	unsigned int nr_devices;
	struct infini_admin_vdev vdevs[FAKE_MAX];
	unsigned int nr_vdevs;
	struct infini_admin_event events[FAKE_MAX];
	unsigned int nr_events, next_event;

	struct infini_admin_vdev_config config;
	char name[INFINI_NAME_MAX];
	char device[INFINI_NAME_MAX];
	uint32_t id;
	bool force;
	unsigned int nr_changes;
	unsigned int nr_lists;
	void (*on_list)(void);
	uint64_t energy_uj, energy_step_uj;
};

extern struct fake_admin fake;

/* Two devices, cpu0 (8 GiB) and gpu0 (24 GiB), and two vdevs on cpu0, "alpha" and "beta". */
void fake_fill(void);

#endif /* TESTS_CTL_FAKE_ADMIN_H */
