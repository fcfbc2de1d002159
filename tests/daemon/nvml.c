// SPDX-License-Identifier: GPL-2.0-or-later
/* A libnvidia-ml.so for tests: one GPU at 0000:03:00.0, whose counter is in the environment. */
#include <stdlib.h>
#include <string.h>

int nvmlInit_v2(void)
{
	return getenv("FAKE_NVML_BROKEN") ? 1 : 0;
}

int nvmlShutdown(void)
{
	return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **device)
{
	*device = "the GPU";
	return strcmp(pci, "0000:03:00.0") ? 6 : 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj)
{
	const char *value = getenv("FAKE_NVML_MJ");

	if (!value || strcmp(device, "the GPU"))
		return 3;
	*mj = strtoull(value, NULL, 10);
	return 0;
}
