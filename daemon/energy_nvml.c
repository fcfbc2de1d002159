// SPDX-License-Identifier: GPL-2.0-or-later
/* Energy of an NVIDIA GPU: NVML, where its library is installed. */
#include "energy.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#define UJ_PER_MJ	1000

/* The part of nvml.h that is needed; it is not free to be copied and stays as it is. */
typedef int nvml_init_fn(void);
typedef int nvml_by_pci_fn(const char *pci, void **device);
typedef int nvml_energy_fn(void *device, unsigned long long *mj);

struct nvml {
	void *library;
	nvml_init_fn *shutdown;
	nvml_energy_fn *energy;
	void *device;
};

static void nvml_close(void *state)
{
	struct nvml *nvml = state;

	if (nvml->shutdown)
		nvml->shutdown();
	if (nvml->library)
		dlclose(nvml->library);
	free(nvml);
}

static int nvml_load(struct nvml *nvml, const struct infini_energy_where *where, const char *pci)
{
	nvml_init_fn *init, *shutdown;
	nvml_by_pci_fn *by_pci;

	nvml->library = dlopen(where->nvml, RTLD_NOW | RTLD_LOCAL);
	if (!nvml->library)
		return -ENODEV;
	init = (nvml_init_fn *)dlsym(nvml->library, "nvmlInit_v2");
	shutdown = (nvml_init_fn *)dlsym(nvml->library, "nvmlShutdown");
	by_pci = (nvml_by_pci_fn *)dlsym(nvml->library, "nvmlDeviceGetHandleByPciBusId_v2");
	nvml->energy = (nvml_energy_fn *)dlsym(nvml->library, "nvmlDeviceGetTotalEnergyConsumption");
	if (!init || !shutdown || !by_pci || !nvml->energy || init())
		return -ENODEV;
	nvml->shutdown = shutdown;
	return by_pci(pci, &nvml->device) ? -ENODEV : 0;
}

static int nvml_open(const struct infini_energy_where *where, const char *pci, void **state)
{
	struct nvml *nvml = calloc(1, sizeof(*nvml));
	int ret;

	if (!nvml)
		return -ENOMEM;
	ret = nvml_load(nvml, where, pci);
	if (ret)
		nvml_close(nvml);
	else
		*state = nvml;
	return ret;
}

/* Older GPUs do not count: "not supported" then, from the first reading on. */
static int nvml_read(void *state, uint64_t *uj)
{
	const struct nvml *nvml = state;
	unsigned long long mj;

	if (nvml->energy(nvml->device, &mj))
		return -ENODATA;
	*uj = mj * UJ_PER_MJ;
	return 0;
}

const struct infini_energy_ops infini_energy_nvml = {
	.name = "nvml",
	.open = nvml_open,
	.read = nvml_read,
	.close = nvml_close,
};
