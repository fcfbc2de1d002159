// SPDX-License-Identifier: GPL-2.0-or-later
/* infinid.conf: whatever is in the file, it is read or refused with a line that says why. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

static void problem(const char *text, void *arg)
{
	(void)arg;
	fuzz_use((unsigned int)strlen(text));
}

void fuzz_begin(void)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct infini_config config;
	char path[32];
	int fd = memfd_create("infinid.conf", 0);

	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!infini_config_load(&config, path, problem, NULL)) {
		for (uint32_t i = 0; i < config.nr_backends; i++)
			fuzz_use(infini_config_device_allowed(&config.backends[i], "cpu0"));
		for (uint32_t i = 0; i < config.nr_pools; i++)
			fuzz_use(infini_config_pool_has(&config.pools[i], "cpu0"));
	}
	close(fd);
	return 0;
}

/* They are in corpus/config. */
void fuzz_seeds(void)
{
}
