// SPDX-License-Identifier: GPL-2.0-or-later
/* The options about a vdev's part of the device's time and of tokens. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "units.h"

static int infini_class_parse(struct infini_ctl *ctl, const char *word, uint32_t *vdev_class)
{
	uint32_t device_class;

	for (uint32_t i = 0; i <= INFINI_VDEV_CLASS_BATCH; i++)
		if (!strcmp(word, infini_admin_vdev_class_word(i))) {
			*vdev_class = i;
			return 0;
		}
	if (infini_device_class_parse(word, &device_class))
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--class %s: a vdev stays on its device: must be latency, normal or batch",
				   word);
	return infini_fail(ctl, INFINI_EXIT_USAGE,
			   "--class %s: must be latency, normal or batch, or for a new vdev a class of devices: gpu, npu, cpu, other or any",
			   word);
}

/* "none" is @none; else a part of the device's time, and of nothing there is no part. */
static int infini_part_parse(struct infini_ctl *ctl, const char *option, const char *word,
			     uint32_t none, uint32_t *ppm)
{
	int err;

	if (!strcmp(word, "none")) {
		*ppm = none;
		return 0;
	}
	err = infini_percent_parse(word, ppm);
	if (err == -EDOM)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "%s %s: needs a percent sign, as in 12.5%%", option, word);
	if (err == -EINVAL)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "%s %s: not a part: write 0.0001%% to 100%%, as in 12.5%%, or none",
				   option, word);
	if (err || !*ppm || *ppm > INFINI_VDEV_PPM_MAX)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "%s %s: must be 0.0001%% to 100%%, as in 12.5%%, or none",
				   option, word);
	return 0;
}

/* Tokens per second, "/s" behind them or not. */
static int infini_rate_parse(struct infini_ctl *ctl, const char *word, uint64_t *rate)
{
	size_t len = strlen(word);
	char number[32];

	*rate = 0;
	if (!strcmp(word, "none"))
		return 0;
	if (len > 2 && !strcmp(word + len - 2, "/s"))
		len -= 2;
	if (len < sizeof(number)) {
		memcpy(number, word, len);
		number[len] = '\0';
		if (!infini_number_parse(number, rate) && *rate && *rate <= INFINI_VDEV_RATE_MAX)
			return 0;
	}
	return infini_fail(ctl, INFINI_EXIT_USAGE,
			   "--rate %s: must be 1 to %d tokens per second, as in 100/s, or none",
			   word, INFINI_VDEV_RATE_MAX);
}

static int infini_burst_parse(struct infini_ctl *ctl, const char *word, uint64_t *burst)
{
	*burst = 0;
	if (!strcmp(word, "default"))
		return 0;
	if (infini_number_parse(word, burst) || !*burst || *burst > INFINI_VDEV_BURST_MAX)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--burst %s: must be 1 to %d tokens, as in 200, or default: those of one second",
				   word, INFINI_VDEV_BURST_MAX);
	return 0;
}

int infini_limits_parse(struct infini_ctl *ctl, const struct infini_config_words *words,
			struct infini_admin_vdev_config *config)
{
	int status = 0;

	if (words->vdev_class) {
		status = infini_class_parse(ctl, words->vdev_class, &config->vdev_class);
		config->set |= INFINI_VDEV_SET_CLASS;
	}
	if (!status && words->cap) {
		status = infini_part_parse(ctl, "--cap", words->cap, INFINI_VDEV_PPM_MAX,
					   &config->cap_ppm);
		config->set |= INFINI_VDEV_SET_CAP;
	}
	if (!status && words->floor) {
		status = infini_part_parse(ctl, "--floor", words->floor, 0, &config->floor_ppm);
		config->set |= INFINI_VDEV_SET_FLOOR;
	}
	if (!status && words->rate) {
		status = infini_rate_parse(ctl, words->rate, &config->tokens_per_s);
		config->set |= INFINI_VDEV_SET_RATE;
	}
	if (!status && words->burst) {
		status = infini_burst_parse(ctl, words->burst, &config->token_burst);
		config->set |= INFINI_VDEV_SET_BURST;
	}
	return status;
}

struct infini_text infini_cap_text(uint32_t cap_ppm)
{
	if (cap_ppm < INFINI_VDEV_PPM_MAX)
		return infini_percent_text(cap_ppm);
	return (struct infini_text){ "none" };
}

struct infini_text infini_floor_text(uint32_t floor_ppm)
{
	return floor_ppm ? infini_percent_text(floor_ppm) : (struct infini_text){ "none" };
}

struct infini_text infini_rate_text(uint64_t tokens_per_s)
{
	struct infini_text text = { "none" };

	if (tokens_per_s)
		snprintf(text.s, sizeof(text.s), "%" PRIu64 "/s", tokens_per_s);
	return text;
}

uint64_t infini_memory_left(const struct infini_admin_device *device, uint64_t before)
{
	uint64_t others = device->memory_promised_bytes - before;

	return device->memory_bytes > others ? device->memory_bytes - others : 0;
}

/* The device has promised memory or floor to others: with numbers. False when it was neither. */
static bool infini_fail_promised(struct infini_ctl *ctl, const char *vdev,
				 const struct infini_admin_device *d,
				 const struct infini_admin_vdev *before,
				 const struct infini_admin_vdev_config *config)
{
	uint64_t left = infini_memory_left(d, before->memory_limit_bytes);
	uint32_t floors = d->floors_ppm - before->floor_ppm;
	uint32_t floor_left = floors < INFINI_VDEV_PPM_MAX ? INFINI_VDEV_PPM_MAX - floors : 0;

	if (config->set & INFINI_VDEV_SET_FLOOR && config->floor_ppm > floor_left)
		infini_fail(ctl, INFINI_EXIT_FAILURE,
			    "vdev \"%s\": floor %s exceeds the %s left on device %s: ask for less, or lower the floor of another vdev",
			    vdev, infini_percent_text(config->floor_ppm).s,
			    infini_percent_text(floor_left).s, d->name);
	else if (config->set & INFINI_VDEV_SET_MEMORY && config->overcommit &&
		 config->memory_limit_bytes > d->memory_bytes)
		infini_fail(ctl, INFINI_EXIT_FAILURE,
			    "vdev \"%s\": memory %s exceeds the %s that device %s has: ask for less",
			    vdev, infini_bytes_text(config->memory_limit_bytes).s,
			    infini_bytes_text(d->memory_bytes).s, d->name);
	else if (config->set & INFINI_VDEV_SET_MEMORY && !config->overcommit &&
		 config->memory_limit_bytes > left)
		infini_fail(ctl, INFINI_EXIT_FAILURE,
			    "vdev \"%s\": memory %s exceeds the %s left of %s on device %s: ask for less, shrink another vdev, or add --overcommit",
			    vdev, infini_bytes_text(config->memory_limit_bytes).s,
			    infini_bytes_text(left).s, infini_bytes_text(d->memory_bytes).s,
			    d->name);
	else
		return false;
	return true;
}

int infini_fail_space(struct infini_ctl *ctl, const char *vdev, const char *device,
		      const struct infini_admin_vdev *before,
		      const struct infini_admin_vdev_config *config)
{
	struct infini_admin_device d;
	int status;

	/* Asking for the device makes the module's own sentence forgotten. */
	status = infini_fail_request(ctl, -ENOSPC, "vdev \"%s\"", vdev);
	if (infini_admin_device_get(ctl->admin, device, 0, &d))
		return status;
	if (!infini_fail_promised(ctl, vdev, &d, before, config) && !before->id)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "vdev \"%s\": the module has no id left for it: delete another one",
				   vdev);
	return status;
}
