// SPDX-License-Identifier: GPL-2.0-or-later
/* Metrics: the very text, in both formats, and how it is asked for over sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "counted.h"
#include "metrics.h"
#include "metrics_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[] = "/tmp/infinid-metrics-XXXXXX";
static char path[64];
static struct infini_energy energy;
static const struct infini_energy_ops source = { .name = "rapl" };

static int page(enum infini_metrics_page which, bool prometheus, char **data, size_t *length,
		void *arg)
{
	struct infini_metrics_text text = { .prometheus = prometheus };
	struct infini_sample sample;
	int ret = infini_sample_take(&sample, arg);

	if (ret)
		return ret;
	if (which == INFINI_METRICS_ENERGY)
		infini_metrics_render_energy(&text, &energy);
	else
		infini_metrics_render(&text, &sample, &energy);
	infini_sample_free(&sample);
	ret = infini_metrics_end(&text);
	*data = text.data;
	*length = text.length;
	return ret;
}

/* With a NUL; the caller frees. */
static char *render(bool prometheus)
{
	size_t length;
	char *data;

	assert_int_equal(page(INFINI_METRICS_ALL, prometheus, &data, &length, NULL), 0);
	data = realloc(data, length + 1);
	assert_non_null(data);
	data[length] = '\0';
	return data;
}

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* ---- text -------------------------------------------------------------------------- */

static const char *const openmetrics[] = {
	"# TYPE infini_vdev_generated_tokens counter\n"
	"# UNIT infini_vdev_generated_tokens tokens\n"
	"# HELP infini_vdev_generated_tokens Tokens generated.\n"
	"infini_vdev_generated_tokens_total{vdev=\"alpha\",device=\"cpu0\"} 1007\n"
	"infini_vdev_generated_tokens_total{vdev=\"beta\",device=\"cpu0\"} 0\n",
	"infini_vdev_evaluated_tokens_total{vdev=\"alpha\",device=\"cpu0\"} 1300\n",
	"infini_vdev_jobs_total{vdev=\"alpha\",device=\"cpu0\",outcome=\"completed\"} 7\n"
	"infini_vdev_jobs_total{vdev=\"alpha\",device=\"cpu0\",outcome=\"timed_out\"} 2\n"
	"infini_vdev_jobs_total{vdev=\"alpha\",device=\"cpu0\",outcome=\"failed\"} 3\n",
	"infini_vdev_occupancy_seconds_total{vdev=\"alpha\",device=\"cpu0\"} 12.000000001\n",
	"infini_vdev_throttled_seconds_total{vdev=\"alpha\",device=\"cpu0\"} 0.25\n",
	"infini_vdev_cap_ratio{vdev=\"alpha\",device=\"cpu0\"} 0.125\n"
	"infini_vdev_cap_ratio{vdev=\"beta\",device=\"cpu0\"} 1\n",
	"# TYPE infini_vdev info\n# HELP infini_vdev The vdev and its class.\n"
	"infini_vdev_info{vdev=\"alpha\",device=\"cpu0\",class=\"normal\"} 1\n",
	"infini_device_info{device=\"gpu0\",class=\"gpu\",backend=\"ggml\"} 1\n",
	"infini_device_occupancy_seconds_total{device=\"cpu0\"} 12.5\n",
	"infini_device_online{device=\"cpu0\"} 1\n",
	/* 1 us is below 1024 ns; 1.25 ms below 2^21 ns; half an hour is only below infinity. */
	"infini_vdev_queue_wait_seconds_bucket{vdev=\"alpha\",device=\"cpu0\",le=\"1.024e-06\"} 3\n"
	"infini_vdev_queue_wait_seconds_bucket{vdev=\"alpha\",device=\"cpu0\",le=\"2.048e-06\"} 3\n",
	"infini_vdev_queue_wait_seconds_bucket{vdev=\"alpha\",device=\"cpu0\",le=\"0.001048576\"} 3\n"
	"infini_vdev_queue_wait_seconds_bucket{vdev=\"alpha\",device=\"cpu0\",le=\"0.002097152\"} 6\n",
	"infini_vdev_queue_wait_seconds_bucket{vdev=\"alpha\",device=\"cpu0\",le=\"68.719476736\"} 6\n"
	"infini_vdev_queue_wait_seconds_bucket{vdev=\"alpha\",device=\"cpu0\",le=\"+Inf\"} 10\n"
	"infini_vdev_queue_wait_seconds_count{vdev=\"alpha\",device=\"cpu0\"} 10\n"
	"infini_vdev_queue_wait_seconds_sum{vdev=\"alpha\",device=\"cpu0\"} 7200.003\n",
	"# TYPE gen_ai_server_time_to_first_token_seconds histogram\n"
	"# UNIT gen_ai_server_time_to_first_token_seconds seconds\n",
	"time_to_first_token_seconds_bucket{vdev=\"alpha\",device=\"cpu0\",le=\"0.001048576\"} 0\n"
	"gen_ai_server_time_to_first_token_seconds_bucket{vdev=\"alpha\",device=\"cpu0\","
	"le=\"0.002097152\"} 2\n",
	"gen_ai_server_time_to_first_token_seconds_sum{vdev=\"alpha\",device=\"cpu0\"} 0.0025\n",
	"gen_ai_server_time_per_output_token_seconds_count{vdev=\"alpha\",device=\"cpu0\"} 10\n"
	"gen_ai_server_time_per_output_token_seconds_sum{vdev=\"alpha\",device=\"cpu0\"} 0.0125\n",
};

static void openmetrics_says_what_the_module_counted(void **state)
{
	char *text;

	(void)state;
	counted_fill();
	text = render(false);
	for (size_t i = 0; i < sizeof(openmetrics) / sizeof(openmetrics[0]); i++) {
		if (!strstr(text, openmetrics[i]))
			fail_msg("missing:\n%sin:\n%s", openmetrics[i], text);
	}
	assert_string_equal(text + strlen(text) - 7, "\n# EOF\n");
	assert_ptr_equal(strstr(text, "# EOF"), text + strlen(text) - 6);
	free(text);
}

static void prometheus_text_names_values_in_heads(void **state)
{
	char *text;

	(void)state;
	counted_fill();
	text = render(true);
	assert_non_null(strstr(text, "# TYPE infini_vdev_generated_tokens_total counter\n"
			       "# HELP infini_vdev_generated_tokens_total Tokens generated.\n"
			       "infini_vdev_generated_tokens_total{vdev=\"alpha\""));
	assert_non_null(strstr(text, "# TYPE infini_vdev_info gauge\n"));
	assert_null(strstr(text, "# UNIT"));
	assert_null(strstr(text, "# EOF"));
	free(text);
}

static void energy_is_of_devices_that_are_measured(void **state)
{
	char *text;

	(void)state;
	counted_fill();
	text = render(false);
	assert_null(strstr(text, "joules"));
	free(text);
	energy.nr_meters = 1;
	energy.meters[0].ops = &source;
	energy.meters[0].total_uj = 12500003;
	snprintf(energy.meters[0].device, sizeof(energy.meters[0].device), "cpu0");
	text = render(false);
	assert_non_null(strstr(text, "# TYPE infini_device_energy_joules counter\n"
			       "# UNIT infini_device_energy_joules joules\n"));
	assert_non_null(strstr(text, "infini_device_energy_joules_total{device=\"cpu0\","
			       "source=\"rapl\"} 12.500003\n"));
	free(text);
	energy.nr_meters = 0;
}

static void strange_names_are_escaped(void **state)
{
	char *text;

	(void)state;
	counted_fill();
	snprintf(counted.vdevs[0].name, sizeof(counted.vdevs[0].name), "a\"b\\c\nd");
	text = render(false);
	assert_non_null(strstr(text, "tokens_total{vdev=\"a\\\"b\\\\c\\nd\",device=\"cpu0\"} 1007\n"));
	free(text);
}

#define ID1	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2	"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define CONTAINER	"infini_vdev_container_info{vdev=\"alpha\",device=\"cpu0\",container="

static void set_groups(struct infini_admin_vdev *vdev, const char *const *groups, size_t nr)
{
	vdev->nr_client_cgroups = nr;
	for (size_t i = 0; i < nr; i++) {
		counted.groups[i] = groups[i];
		vdev->client_cgroups[i] = i + 1;
	}
}

/* What stands in the text about containers, heads left out. */
static void containers_are(const char *const *groups, size_t nr, const char *want)
{
	char *text, *from, *to;

	counted_fill();
	set_groups(&counted.vdevs[0], groups, nr);
	text = render(false);
	from = strstr(text, "# HELP infini_vdev_container ");
	assert_non_null(from);
	from = strchr(from, '\n') + 1;
	to = strstr(from, "# ");
	assert_non_null(to);
	*to = '\0';
	if (strcmp(from, want))
		fail_msg("containers are\n%sshould be\n%s", from, want);
	free(text);
}

static void containers_are_named(void **state)
{
	static const char *const groups[] = {
		"/machine.slice/libpod-" ID1 ".scope",
		"/", "/system.slice/infinid.service", NULL,
		"/docker/" ID2,
	};

	(void)state;
	containers_are(groups, sizeof(groups) / sizeof(*groups),
		       CONTAINER "\"0123456789ab\",runtime=\"libpod\","
		       "cgroup=\"/machine.slice/libpod-" ID1 ".scope\"} 1\n"
		       CONTAINER "\"fedcba987654\",runtime=\"container\",cgroup=\"/docker/" ID2 "\"} 1\n");
	containers_are(NULL, 0, "");
}

/* Whatever a container makes below its own group, it is one container. */
static void groups_in_a_container_make_no_more_of_it(void **state)
{
	const char *groups[INFINI_VDEV_CLIENT_CGROUPS_MAX];

	(void)state;
	for (size_t i = 0; i < INFINI_VDEV_CLIENT_CGROUPS_MAX; i++)
		groups[i] = i % 2 ? "/libpod-" ID1 "/odd\"/libpod-" ID2 : "/libpod-" ID1 "/even\n";
	containers_are(groups, INFINI_VDEV_CLIENT_CGROUPS_MAX,
		       CONTAINER "\"0123456789ab\",runtime=\"libpod\",cgroup=\"/libpod-" ID1 "\"} 1\n");
}

static void strange_groups_are_printable_and_bounded(void **state)
{
	static char longer[600];
	const char *groups[] = { "/a\"b\\c\n\377/d\"\n\\-" ID1, longer };
	char want[1024];

	(void)state;
	snprintf(longer, sizeof(longer), "/%0400d/libpod-" ID2, 0);
	snprintf(want, sizeof(want),
		 CONTAINER "\"0123456789ab\",runtime=\"d\\\"?\\\\\","
		 "cgroup=\"/a\\\"b\\\\c?\?/d\\\"?\\\\-" ID1 "\"} 1\n"
		 CONTAINER "\"fedcba987654\",runtime=\"libpod\",cgroup=\"/%0254d\"} 1\n", 0);
	containers_are(groups, 2, want);
}

static void number_of_lines_follows_the_number_of_vdevs(void **state)
{
	size_t base, one, many;
	char *text;

	(void)state;
	counted_fill();
	counted.nr_vdevs = 0;
	text = render(false);
	base = lines(text);
	free(text);
	counted.nr_vdevs = 1;
	text = render(false);
	one = lines(text) - base;
	free(text);
	counted.nr_vdevs = COUNTED_MAX;
	text = render(false);
	many = lines(text) - base;
	free(text);
	assert_true(one > 0 && one < 180);
	assert_int_equal(many, COUNTED_MAX * one);
}

/* ---- sockets ----------------------------------------------------------------------- */

static struct infini_metrics_http *start(uint32_t port)
{
	struct infini_metrics_http *http;
	char why[256] = "";

	counted_fill();
	if (infini_metrics_http_start(&http, &(struct infini_metrics_places){ .path = path, .port = port },
				      page, NULL, why, sizeof(why)))
		fail_msg("%s", why);
	return http;
}

static int dial_unix(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* All of the answer, or what has come when the server has had nothing to do for a second. */
static char *ask(struct infini_metrics_http *http, int fd, const char *request)
{
	struct pollfd ends[2] = {
		{ .fd = infini_metrics_http_fd(http), .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	static char answer[1 << 20];
	size_t length = 0;
	ssize_t n = 1;

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	while (n) {
		bool due = infini_metrics_http_next_ns(http) <= infini_clock_ns();

		if (!poll(ends, 2, due ? 0 : 1000) && !due)
			break;
		infini_metrics_http_run(http);
		if (!ends[1].revents)
			continue;
		n = read(fd, answer + length, sizeof(answer) - 1 - length);
		assert_true(n >= 0);
		length += (size_t)n;
	}
	answer[length] = '\0';
	close(fd);
	return answer;
}

#define REQUEST(_line, _more)	_line " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" _more "\r\n"

static const struct {
	const char *name, *request, *status, *type, *text;
} requests[] = {
	{ "nothing preferred", REQUEST("GET /metrics", ""), "HTTP/1.1 200 ",
	  "application/openmetrics-text; version=1.0.0; charset=utf-8", "\n# EOF\n" },
	{ "Prometheus", REQUEST("GET /metrics", "Accept: application/openmetrics-text;version=1.0.0,"
				"text/plain;version=0.0.4;q=0.5\r\n"), "HTTP/1.1 200 ",
	  "application/openmetrics-text; version=1.0.0; charset=utf-8", "\n# EOF\n" },
	{ "plain text", REQUEST("GET /metrics", "Accept: text/plain\r\n"), "HTTP/1.1 200 ",
	  "text/plain; version=0.0.4; charset=utf-8", "# TYPE infini_vdev_jobs_total counter\n" },
	{ "another page", REQUEST("GET /", ""), "HTTP/1.1 404 ", "text/plain",
	  "only /metrics and /metrics/energy\n" },
	{ "energy alone, and there is none", REQUEST("GET /metrics/energy", ""), "HTTP/1.1 200 ",
	  "application/openmetrics-text", "\r\n\r\n# EOF\n" },
	{ "another method", REQUEST("POST /metrics", "Content-Length: 3\r\n") "abc",
	  "HTTP/1.1 405 ", "text/plain", "infinid answers GET and HEAD\n" },
	{ "no HTTP", "hello\r\n\r\n", "", "", "" },
};

static void requests_are_answered(void **state)
{
	struct infini_metrics_http *http = start(0);

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const char *answer = ask(http, dial_unix(), requests[i].request);

		if (strncmp(answer, requests[i].status, strlen(requests[i].status)) ||
		    !strstr(answer, requests[i].type) || !strstr(answer, requests[i].text))
			fail_msg("%s:\n%s", requests[i].name, answer);
	}
	infini_metrics_http_stop(http);
}

static void without_the_module_there_is_an_answer(void **state)
{
	struct infini_metrics_http *http = start(0);
	const char *answer;

	(void)state;
	counted.err = -ENOENT;
	answer = ask(http, dial_unix(), requests[0].request);
	assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
	counted.err = 0;
	answer = ask(http, dial_unix(), requests[0].request);
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	infini_metrics_http_stop(http);
}

/* A port that was free a moment ago. */
static uint32_t free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void port_is_of_this_machine_alone(void **state)
{
	uint32_t port = free_port();
	struct infini_metrics_http *http = start(port);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_non_null(strstr(ask(http, fd, requests[0].request), "\n# EOF\n"));
	/* The same port of another address of this machine is still free. */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	infini_metrics_http_stop(http);
}

static void port_in_use_is_said(void **state)
{
	struct infini_metrics_http *http, *second;
	uint32_t port = free_port();
	char why[256], expected[64];

	(void)state;
	http = start(port);
	strcat(path, "2");
	assert_int_equal(infini_metrics_http_start(&second, &(struct infini_metrics_places){
							.path = path, .port = port }, page, NULL, why,
						   sizeof(why)), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "127.0.0.1 port %u: Address already in use", port);
	assert_string_equal(why, expected);
	assert_null(second);
	assert_int_equal(access(path, F_OK), -1);
	path[strlen(path) - 1] = '\0';
	infini_metrics_http_stop(http);
}

static void socket_is_private_and_replaces_a_stale_one(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct infini_metrics_http *http = start(0);
	struct stat info;
	char why[256];
	int fd;

	(void)state;
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	/* As after a kill -9: the name is there and nobody listens. */
	infini_metrics_http_stop(http);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	http = start(0);
	assert_non_null(strstr(ask(http, dial_unix(), requests[0].request), "\n# EOF\n"));
	infini_metrics_http_stop(http);
	/* What is no socket is not ours to remove. */
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(infini_metrics_http_start(&http, &(struct infini_metrics_places){
							.path = path }, page, NULL, why, sizeof(why)),
			 -EEXIST);
	assert_non_null(strstr(why, "it is there and is no socket"));
	assert_int_equal(unlink(path), 0);
}

static int dial_address(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	return fd;
}

/* As a service manager does it: whoever connects between two servers is answered by the second. */
static void passed_sockets_outlive_the_server(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct infini_metrics_places places = { .path = path, .nr_passed = 1 };
	socklen_t bytes = sizeof(address);
	struct infini_metrics_http *http;
	int early, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char why[256];

	(void)state;
	counted_fill();
	assert_false(infini_metrics_http_accepts(fd));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	assert_true(infini_metrics_http_accepts(fd));
	assert_false(infini_metrics_http_accepts(-1));
	places.passed[0] = fd;
	assert_int_equal(infini_metrics_http_start(&http, &places, page, NULL, why, sizeof(why)), 0);
	assert_non_null(strstr(ask(http, dial_address(&address), requests[0].request), "\n# EOF\n"));
	assert_non_null(strstr(ask(http, dial_unix(), requests[0].request), "\n# EOF\n"));
	infini_metrics_http_stop(http);
	early = dial_address(&address);
	assert_int_equal(infini_metrics_http_start(&http, &places, page, NULL, why, sizeof(why)), 0);
	assert_non_null(strstr(ask(http, early, requests[0].request), "\n# EOF\n"));
	infini_metrics_http_stop(http);
	assert_true(infini_metrics_http_accepts(fd));
	close(fd);
}

/* Those who connect and say nothing do not keep others out for good. */
static void silent_clients_lose_their_connections(void **state)
{
	struct infini_metrics_http *http = start(0);
	int fds[16];

	(void)state;
	for (int i = 0; i < 16; i++) {
		fds[i] = dial_unix();
		infini_metrics_http_run(http);
	}
	infini_metrics_http_run(http);
	/* There is a time at which to look after them. */
	assert_true(infini_metrics_http_next_ns(http) < INFINI_FOREVER);
	for (int i = 0; i < 16; i++)
		close(fds[i]);
	infini_metrics_http_run(http);
	assert_non_null(strstr(ask(http, dial_unix(), requests[0].request), "\n# EOF\n"));
	infini_metrics_http_stop(http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openmetrics_says_what_the_module_counted),
		cmocka_unit_test(prometheus_text_names_values_in_heads),
		cmocka_unit_test(energy_is_of_devices_that_are_measured),
		cmocka_unit_test(strange_names_are_escaped),
		cmocka_unit_test(containers_are_named),
		cmocka_unit_test(groups_in_a_container_make_no_more_of_it),
		cmocka_unit_test(strange_groups_are_printable_and_bounded),
		cmocka_unit_test(number_of_lines_follows_the_number_of_vdevs),
		cmocka_unit_test(requests_are_answered),
		cmocka_unit_test(without_the_module_there_is_an_answer),
		cmocka_unit_test(port_is_of_this_machine_alone),
		cmocka_unit_test(port_in_use_is_said),
		cmocka_unit_test(socket_is_private_and_replaces_a_stale_one),
		cmocka_unit_test(passed_sockets_outlive_the_server),
		cmocka_unit_test(silent_clients_lose_their_connections),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/metrics.sock", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
