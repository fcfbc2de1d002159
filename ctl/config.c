// SPDX-License-Identifier: GPL-2.0-or-later
/* The options that "vdev create" and "vdev set" share: words into a configuration. */
#include <errno.h>

#include "ctl.h"
#include "units.h"

bool infini_config_option(struct infini_config_words *words, int option, const char *word)
{
	switch (option) {
	case 'm':
		words->memory = word;
		return true;
	case 'w':
		words->weight = word;
		return true;
	case 'q':
		words->quantum = word;
		return true;
	case 'o':
		words->owner = word;
		return true;
	case 'M':
		words->mode = word;
		return true;
	case 'c':
		words->vdev_class = word;
		return true;
	case 'C':
		words->cap = word;
		return true;
	case 'f':
		words->floor = word;
		return true;
	case 'r':
		words->rate = word;
		return true;
	case 'b':
		words->burst = word;
		return true;
	case 'O':
		words->overcommit = true;
		return true;
	case 'g':
		words->cgroup = word;
		return true;
	case 'x':
		words->exclusive = true;
		return true;
	case 's':
		words->shared = true;
		return true;
	}
	return false;
}

static int infini_memory_parse(struct infini_ctl *ctl, const char *word, uint64_t *bytes)
{
	switch (infini_bytes_parse(word, bytes)) {
	case 0:
		break;
	case -EDOM:
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--memory %s: unknown unit: write K, M, G or T, as in 1.5G",
				   word);
	case -ERANGE:
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--memory %s: more than 8 EiB", word);
	default:
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--memory %s: not a size: write a number and K, M, G or T, as in 1.5G",
				   word);
	}
	if (*bytes < INFINI_VDEV_MEMORY_MIN_BYTES)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--memory %s: the least is one page, 4K",
				   word);
	return 0;
}

static int infini_quantum_parse(struct infini_ctl *ctl, const char *word, uint64_t *ns)
{
	int err = infini_duration_parse(word, 0, ns);

	if (err == -EDOM)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--quantum %s: needs a unit: us, ms or s, as in 2ms", word);
	if (err == -EINVAL)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--quantum %s: not a time: write a number and us, ms or s, as in 2ms",
				   word);
	if (err || *ns < INFINI_VDEV_QUANTUM_MIN_NS || *ns > INFINI_VDEV_QUANTUM_MAX_NS)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--quantum %s: must be %s to %s", word,
				   infini_duration_text(INFINI_VDEV_QUANTUM_MIN_NS).s,
				   infini_duration_text(INFINI_VDEV_QUANTUM_MAX_NS).s);
	return 0;
}

static int infini_weight_parse(struct infini_ctl *ctl, const char *word, uint32_t *weight)
{
	uint64_t value;

	if (infini_number_parse(word, &value) || value < INFINI_VDEV_WEIGHT_MIN ||
	    value > INFINI_VDEV_WEIGHT_MAX)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--weight %s: must be a whole number, %d to %d", word,
				   INFINI_VDEV_WEIGHT_MIN, INFINI_VDEV_WEIGHT_MAX);
	*weight = value;
	return 0;
}

static int infini_config_mode(struct infini_ctl *ctl, const char *word, uint32_t *mode)
{
	if (infini_mode_parse(word, mode) || *mode > INFINI_VDEV_MODE_MAX)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--mode %s: must be octal, 0 to 0777, as in 0660", word);
	return 0;
}

/* Who may open it. */
static int infini_config_access(struct infini_ctl *ctl, const struct infini_config_words *words,
				struct infini_admin_vdev_config *config)
{
	int status = 0;

	if (words->exclusive && words->shared)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--exclusive and --shared exclude each other");
	if (words->exclusive || words->shared) {
		config->exclusive = words->exclusive;
		config->set |= INFINI_VDEV_SET_EXCLUSIVE;
	}
	if (words->owner) {
		status = infini_owner_parse(ctl, words->owner, &config->uid, &config->gid);
		config->set |= INFINI_VDEV_SET_OWNER;
	}
	if (!status && words->mode) {
		status = infini_config_mode(ctl, words->mode, &config->mode);
		config->set |= INFINI_VDEV_SET_MODE;
	}
	if (!status && words->cgroup) {
		status = infini_cgroup_open(ctl, words->cgroup, &config->cgroup_fd);
		config->set |= INFINI_VDEV_SET_CGROUP;
	}
	return status;
}

int infini_config_parse(struct infini_ctl *ctl, const struct infini_config_words *words,
			struct infini_admin_vdev_config *config)
{
	int status = 0;

	config->overcommit = words->overcommit;
	if (words->memory) {
		status = infini_memory_parse(ctl, words->memory, &config->memory_limit_bytes);
		config->set |= INFINI_VDEV_SET_MEMORY;
	}
	if (!status && words->weight) {
		status = infini_weight_parse(ctl, words->weight, &config->weight);
		config->set |= INFINI_VDEV_SET_WEIGHT;
	}
	if (!status && words->quantum) {
		status = infini_quantum_parse(ctl, words->quantum, &config->quantum_ns);
		config->set |= INFINI_VDEV_SET_QUANTUM;
	}
	if (!status)
		status = infini_limits_parse(ctl, words, config);
	return status ? status : infini_config_access(ctl, words, config);
}
