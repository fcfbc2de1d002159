// SPDX-License-Identifier: GPL-2.0-or-later
/* What the supervisor counts and tells: energy, metrics, the ledger. */
#include "metering.h"

#include "clock.h"
#include "log.h"
#include "metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

/* Deleted vdevs that wait for a ledger that cannot be written. */
#define GONE_MAX		4096

/* ---- energy ------------------------------------------------------------------------ */

void infini_metering_add(struct supervisor *s, const struct infini_backend_device *found)
{
	static const struct infini_energy_where where = {
		.sysfs = "/sys", .nvml = "libnvidia-ml.so.1",
	};
	const struct infini_config_device *config = infini_config_device_find(s->config,
									      found->name);
	const char *device = found->name;
	const struct infini_energy_meter *meter;
	char why[128];

	if (infini_energy_find(&s->energy, device))
		return;
	meter = infini_energy_add(&s->energy, &where, device, found->device_class,
				  config && config->pci[0] ? config->pci : found->pci, why,
				  sizeof(why));
	if (meter)
		infini_info("device %s: energy is read from %s", device, meter->ops->name);
	else
		infini_info("device %s: no energy reading: %s", device, why);
}

static void read_energy(struct supervisor *s)
{
	for (uint32_t i = 0; i < s->energy.nr_meters; i++) {
		struct infini_energy_meter *meter = &s->energy.meters[i];
		bool failed = meter->failing;

		if (infini_energy_read(meter) && !failed)
			infini_warn("device %s: its energy cannot be read now", meter->device);
	}
}

/* ---- metrics ----------------------------------------------------------------------- */

static int render_page(struct supervisor *s, enum infini_metrics_page page,
		       struct infini_metrics_text *text)
{
	struct infini_sample sample;
	int ret;

	read_energy(s);
	if (page == INFINI_METRICS_ENERGY) {
		infini_metrics_render_energy(text, &s->energy);
	} else {
		ret = infini_sample_take(&sample, s->admin);
		if (ret)
			return ret;
		infini_metrics_render(text, &sample, &s->energy);
		infini_sample_free(&sample);
	}
	return infini_metrics_end(text);
}

static int metrics_page(enum infini_metrics_page page, bool prometheus, char **data,
			size_t *length, void *arg)
{
	struct infini_metrics_text text = { .prometheus = prometheus };
	int ret = render_page(arg, page, &text);

	if (ret)
		infini_log_limited(LOG_WARNING, "metrics: the module does not say what it counts");
	*data = text.data;
	*length = text.length;
	return ret;
}

bool infini_metering_take_socket(struct supervisor *s, const struct infini_fdstore_file *file)
{
	if (s->places.nr_passed == INFINI_METRICS_PASSED_MAX) {
		infini_warn("metrics are served on %d sockets of the service manager, and no more",
			    INFINI_METRICS_PASSED_MAX);
		return false;
	}
	if (!infini_metrics_http_accepts(file->fd)) {
		infini_warn("\"%s\" of the service manager is no socket that listens", file->name);
		return false;
	}
	s->places.passed[s->places.nr_passed++] = file->fd;
	return true;
}

/* Without metrics the daemon still does its work. */
void infini_metering_start_pages(struct supervisor *s)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = SOURCE_METRICS };
	char why[256];

	s->places.path = s->config->metrics_socket;
	s->places.port = s->config->metrics_port;
	if (infini_metrics_http_start(&s->metrics, &s->places, metrics_page, s, why, sizeof(why)))
		infini_err("there are no metrics: %s", why);
	else if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, infini_metrics_http_fd(s->metrics), &event))
		infini_err("there are no metrics: %s", strerror(errno));
}

void infini_metering_run_pages(struct supervisor *s)
{
	if (s->metrics)
		infini_metrics_http_run(s->metrics);
}

int64_t infini_metering_pages_due(const struct supervisor *s)
{
	return s->metrics ? infini_metrics_http_next_ns(s->metrics) : INFINI_FOREVER;
}

void infini_metering_stop_pages(struct supervisor *s)
{
	if (s->metrics)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, infini_metrics_http_fd(s->metrics), NULL);
	infini_metrics_http_stop(s->metrics);
	s->metrics = NULL;
}

/* ---- the ledger -------------------------------------------------------------------- */

/* Without it the daemon still does its work. */
void infini_metering_open_ledger(struct supervisor *s)
{
	char why[256];
	int ret = infini_ledger_epoch("/proc", "/sys", s->epoch, sizeof(s->epoch));

	s->ledger_ns = INFINI_FOREVER;
	if (ret) {
		infini_err("there is no ledger: the module cannot be told apart: %s", strerror(-ret));
		return;
	}
	if (infini_ledger_open(&s->ledger, s->config->ledger, why, sizeof(why)))
		infini_err("there is no ledger: %s: %s", s->config->ledger, why);
	else
		s->ledger_ns = infini_clock_ns();
}

/* Deleted vdevs included. */
static int take_sample(struct supervisor *s, struct infini_sample *sample)
{
	int ret = infini_sample_take(sample, s->admin);

	for (size_t i = 0; i < s->gone.nr_vdevs && !ret; i++)
		ret = infini_sample_add_gone(sample, &s->gone.vdevs[i]);
	if (ret)
		infini_sample_free(sample);
	return ret;
}

/* What fails now is entered at the end of the next interval. */
void infini_metering_enter(struct supervisor *s)
{
	struct infini_sample sample;
	struct infini_ledger_interval interval = {
		.time_s = time(NULL),
		.epoch = s->epoch,
		.tariff = &s->config->tariff,
		.sample = &sample,
		.energy = &s->energy,
	};
	char why[256], message[320];

	if (!s->ledger)
		return;
	s->ledger_ns = infini_clock_ns() + s->config->ledger_interval_s * INFINI_NS_PER_S;
	read_energy(s);
	if (take_sample(s, &sample)) {
		infini_log_limited(LOG_WARNING, "ledger: the module does not say what it counts");
		return;
	}
	if (infini_ledger_enter(s->ledger, &interval, why, sizeof(why))) {
		snprintf(message, sizeof(message), "ledger: %s", why);
		infini_log_limited(LOG_WARNING, message);
	} else {
		infini_sample_free(&s->gone);
	}
	infini_sample_free(&sample);
}

/* It is in no listing any more, and did something since it was entered last. */
void infini_metering_vdev_gone(struct supervisor *s, const struct infini_admin_event *event)
{
	struct infini_admin_vdev vdev = {
		.id = event->vdev_id,
		.device_id = event->device_id,
		.stats.tokens_evaluated = event->tokens_evaluated,
		.stats.tokens_generated = event->tokens_generated,
		.stats.occupancy_ns = event->occupancy_ns,
	};

	if (!s->ledger || !event->occupancy_ns)
		return;
	snprintf(vdev.name, sizeof(vdev.name), "%s", event->name);
	if (s->gone.nr_vdevs == GONE_MAX || infini_sample_add_gone(&s->gone, &vdev))
		infini_warn("vdev %s: what it used last is not in the ledger", event->name);
	s->ledger_ns = 0;
}
