// SPDX-License-Identifier: GPL-2.0-only
/*
 * Admission: what an administrator asks of a vdev, whether its device can promise it beside what
 * it has promised to others, and the words for a refusal. Nothing is changed here.
 */

#include <linux/string_helpers.h>

#include "infini.h"

/* Words of bounded size, so that several fit into a sentence. */
struct infini_words {
	char text[24];
};

static const char *infini_percent(u64 ppm, struct infini_words *words)
{
	size_t used = scnprintf(words->text, sizeof(words->text), "%llu.%04llu", ppm / 10000,
				ppm % 10000);

	while (words->text[used - 1] == '0')
		used--;
	if (words->text[used - 1] == '.')
		used--;
	strscpy(words->text + used, "%", sizeof(words->text) - used);
	return words->text;
}

static const char *infini_span(u64 ns, struct infini_words *words)
{
	if (ns % NSEC_PER_MSEC)
		scnprintf(words->text, sizeof(words->text), "%llu us", ns / NSEC_PER_USEC);
	else
		scnprintf(words->text, sizeof(words->text), "%llu ms", ns / NSEC_PER_MSEC);
	return words->text;
}

static const char *infini_size(u64 bytes, struct infini_words *words)
{
	string_get_size(bytes, 1, STRING_UNITS_2, words->text, sizeof(words->text));
	return words->text;
}

/**
 * infini_say - why a request was refused, or what to know though it was not
 * @reason: out
 * @plain: without numbers, for kernels that take constant sentences only
 * @format: the sentence; the kernel passes 79 characters on
 */
void infini_say(struct infini_reason *reason, const char *plain, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vscnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
	reason->plain = plain;
}

/* ---- time and tokens ---- */

static void infini_admit_apply(const struct infini_vdev_config *config,
			       struct infini_sched_limits *limits)
{
	if (config->set & INFINI_VDEV_HAS_WEIGHT)
		limits->weight = config->weight;
	if (config->set & INFINI_VDEV_HAS_CLASS)
		limits->sched_class = config->sched_class;
	if (config->set & INFINI_VDEV_HAS_QUANTUM)
		limits->quantum_ns = config->quantum_ns;
	if (config->set & INFINI_VDEV_HAS_CAP)
		limits->cap_ppm = config->cap_ppm;
	if (config->set & INFINI_VDEV_HAS_FLOOR)
		limits->floor_ppm = config->floor_ppm;
	if (config->set & INFINI_VDEV_HAS_RATE)
		limits->rate = config->tokens_per_s;
	/* Without a rate there is nothing to burst over. */
	if ((config->set & INFINI_VDEV_HAS_RATE) && !config->tokens_per_s)
		limits->burst = 0;
	if (config->set & INFINI_VDEV_HAS_BURST)
		limits->burst = config->token_burst;
}

static void infini_say_cap(const struct infini_sched_limits *limits, u32 slots,
			   const struct infini_limits_range *range, struct infini_reason *reason)
{
	struct infini_words value, low, high, second, quantum;

	infini_percent(range->value, &value);
	infini_percent(range->low, &low);
	if (range->value > range->high)
		infini_say(reason, "the cap is above 100%", "cap %s is not in %s..%s", value.text,
			   low.text, infini_percent(range->high, &high));
	else
		infini_say(reason, "a second of the cap is less than the quantum",
			   "cap %s is %s a second, less than the quantum of %s: at least %s",
			   value.text, infini_span(range->value * 1000 * slots, &second),
			   infini_span(limits->quantum_ns, &quantum), low.text);
}

static void infini_say_floor(const struct infini_sched_limits *limits, u32 slots,
			     const struct infini_limits_range *range,
			     struct infini_reason *reason)
{
	struct infini_words value, high;

	infini_percent(range->value, &value);
	infini_percent(range->high, &high);
	if (range->value > INFINI_PPM)
		infini_say(reason, "the floor is above 100%", "floor %s is not in 0%%..%s",
			   value.text, high.text);
	else if (range->value > limits->cap_ppm)
		infini_say(reason, "the floor is above the cap", "floor %s is above the cap of %s",
			   value.text, infini_percent(limits->cap_ppm, &high));
	else
		infini_say(reason, "the floor is more than one slot gives",
			   "floor %s is more than one slot of %u gives: at most %s", value.text,
			   slots, high.text);
}

/* Those that are plainly in a range or not. */
static const struct {
	const char *name;
	const char *tail;
	const char *plain;
} infini_fault_words[] = {
	[INFINI_LIMITS_WEIGHT] = { "weight", "", "the weight is not in 1..10000" },
	[INFINI_LIMITS_CLASS] = { "class", " (latency, normal, batch)",
				  "the class is not in 0..2 (latency, normal, batch)" },
	[INFINI_LIMITS_QUANTUM] = { "quantum", " ns",
				    "the quantum is not in 100000..1000000000 ns" },
	[INFINI_LIMITS_RATE] = { "token rate", "", "the token rate is not in 0..10000000" },
	[INFINI_LIMITS_BURST] = { "token burst", "", "the token burst is not in 0..1000000000" },
};

static void infini_say_fault(enum infini_limits_fault fault, const struct infini_device *device,
			     const struct infini_sched_limits *limits,
			     const struct infini_limits_range *range,
			     struct infini_reason *reason)
{
	struct infini_words value, left;

	if (fault == INFINI_LIMITS_CAP)
		infini_say_cap(limits, device->sched.slots, range, reason);
	else if (fault == INFINI_LIMITS_FLOOR)
		infini_say_floor(limits, device->sched.slots, range, reason);
	else if (fault == INFINI_LIMITS_FLOOR_LEFT)
		infini_say(reason, "other floors leave less of the device",
			   "floor %s of device %s: %s is left",
			   infini_percent(range->value, &value), device->name,
			   infini_percent(range->high, &left));
	else if (fault == INFINI_LIMITS_BURST && !range->high)
		infini_say(reason, "a token burst needs a token rate",
			   "token burst %llu without a token rate", range->value);
	else
		infini_say(reason, infini_fault_words[fault].plain,
			   "%s %llu is not in %llu..%llu%s", infini_fault_words[fault].name,
			   range->value, range->low, range->high, infini_fault_words[fault].tail);
}

static int infini_admit_limits(const struct infini_device *device, u32 others_ppm,
			       const struct infini_sched_limits *limits,
			       struct infini_reason *reason)
{
	struct infini_limits_range range;
	enum infini_limits_fault fault;

	fault = infini_limits_check(limits, device->sched.slots, others_ppm, &range);
	if (fault == INFINI_LIMITS_OK)
		return 0;
	infini_say_fault(fault, device, limits, &range, reason);
	return fault == INFINI_LIMITS_FLOOR_LEFT ? -ENOSPC : -EINVAL;
}

/* ---- memory ---- */

/*
 * @from: what the vdev has. Overcommitted, a device can still not give a vdev more than it has;
 * and asking for less than before makes nothing worse.
 */
static int infini_admit_memory(const struct infini_device *device, u64 from, u64 to,
			       bool overcommit, struct infini_reason *reason)
{
	u64 others = device->promised_bytes - from;
	u64 left = device->memory_bytes > others ? device->memory_bytes - others : 0;
	struct infini_words value, rest;

	if (overcommit)
		left = min_t(u64, device->memory_bytes, U64_MAX - others);
	if (to <= from || to <= left)
		return 0;
	infini_say(reason, "the device has less memory left", "memory %s of device %s: %s is %s",
		   infini_size(to, &value), device->name, infini_size(left, &rest),
		   overcommit ? "all it has" : "left");
	return -ENOSPC;
}

static int infini_admit_node(const struct infini_vdev_config *config,
			     struct infini_reason *reason)
{
	if ((config->set & INFINI_VDEV_HAS_MODE) && (config->mode & ~0777)) {
		infini_say(reason, "the mode is not in 0..0777", "mode 0%o is not in 0..0777",
			   config->mode);
		return -EINVAL;
	}
	if ((config->set & INFINI_VDEV_HAS_MEMORY) &&
	    (config->memory_limit_bytes < INFINI_VDEV_MEMORY_MIN_BYTES ||
	     config->memory_limit_bytes > S64_MAX)) {
		infini_say(reason, "the memory limit is less than a page or beyond measure",
			   "memory limit %llu is not in %u..%llu bytes",
			   config->memory_limit_bytes, INFINI_VDEV_MEMORY_MIN_BYTES,
			   (u64)S64_MAX);
		return -EINVAL;
	}
	return 0;
}

/**
 * infini_admit - what a vdev would be promised
 * @device: the vdev's; registry lock
 * @config: what is asked for
 * @from: what the vdev has been promised so far
 * @to: out: what it would be promised
 * @reason: out: words for a refusal
 *
 * Return: 0, -EINVAL out of range, -ENOSPC promised to others.
 */
int infini_admit(const struct infini_device *device, const struct infini_vdev_config *config,
		 const struct infini_promise *from, struct infini_promise *to,
		 struct infini_reason *reason)
{
	int err;

	lockdep_assert_held(&infini_registry_lock);
	*to = *from;
	infini_admit_apply(config, &to->limits);
	if (config->set & INFINI_VDEV_HAS_MEMORY)
		to->memory_bytes = config->memory_limit_bytes;
	err = infini_admit_node(config, reason);
	if (!err)
		err = infini_admit_limits(device, device->floors_ppm - from->limits.floor_ppm,
					  &to->limits, reason);
	if (!err)
		err = infini_admit_memory(device, from->memory_bytes, to->memory_bytes,
					  config->overcommit, reason);
	return err;
}

/* The device gives its word, or takes it back: @from or @to is NULL for no vdev. */
void infini_promise_move(struct infini_device *device, const struct infini_promise *from,
			 const struct infini_promise *to)
{
	lockdep_assert_held(&infini_registry_lock);
	if (from) {
		device->promised_bytes -= from->memory_bytes;
		device->floors_ppm -= from->limits.floor_ppm;
	}
	if (to) {
		device->promised_bytes += to->memory_bytes;
		device->floors_ppm += to->limits.floor_ppm;
	}
}

/* A limit below what is used takes nothing away, and gives nothing any more. */
void infini_say_lowered(u64 limit, u64 used, struct infini_reason *reason)
{
	struct infini_words value, now;

	infini_say(reason, "the memory limit is below what is in use: no further allocation",
		   "memory limit %s is below the %s in use: no further allocation",
		   infini_size(limit, &value), infini_size(used, &now));
}
