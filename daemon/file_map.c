// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapped files that others may cut short: see file_map.h.
 *
 * The thread that meets the hole is one of the backend's library as a rule, in the middle of a kernel, so
 * that there is nowhere to jump to. It goes on with zeros, and the job fails when it has ended.
 */
#include "file_map.h"

#include <errno.h>
#include <infini.h>
#include <signal.h>
#include <sys/mman.h>

static struct infini_file_map *maps;

/* From the handler, in any thread, several at once: what is there already is put there again. */
static bool lose(struct infini_file_map *map)
{
	void *zeros;

	__atomic_store_n(&map->lost, 1, __ATOMIC_RELEASE);
	zeros = mmap((void *)map->addr, map->bytes, PROT_READ,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	return zeros != MAP_FAILED;
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	const struct sigaction ordinary = { .sa_handler = SIG_DFL };
	struct infini_file_map *map;
	int saved = errno;

	(void)context;
	for (map = maps; map; map = map->next) {
		if ((uintptr_t)info->si_addr - (uintptr_t)map->addr < map->bytes)
			break;
	}
	/* A signal that somebody sent has no address. Back at the fault the process ends by it. */
	if (info->si_code != BUS_ADRERR || !map || !lose(map))
		sigaction(signal, &ordinary, NULL);
	errno = saved;
}

int infini_file_maps_watch(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	action.sa_sigaction = on_bus_error;
	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

int infini_file_map_add(struct infini_file_map *map, int fd, uint64_t offset, size_t bytes)
{
	int ret = infini_file_map(fd, offset, bytes, &map->addr);

	if (ret)
		return ret;
	map->bytes = bytes;
	map->lost = 0;
	map->next = maps;
	maps = map;
	return 0;
}

void infini_file_map_remove(struct infini_file_map *map)
{
	struct infini_file_map **link = &maps;

	while (*link != map)
		link = &(*link)->next;
	*link = map->next;
	infini_unmap(map->addr, map->bytes);
}

bool infini_file_map_is_lost(const struct infini_file_map *map)
{
	return __atomic_load_n(&map->lost, __ATOMIC_ACQUIRE);
}
