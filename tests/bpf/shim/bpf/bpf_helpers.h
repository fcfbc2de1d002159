/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In front of libbpf's: BPF headers in a host program. Maps are what the test makes of them. */
#ifndef SHIM_BPF_HELPERS_H
#define SHIM_BPF_HELPERS_H

#define SEC(name)
#define __uint(name, value)	int (*name)[value]
#define __type(name, type)	type *name

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, unsigned long long flags);
unsigned long long bpf_ktime_get_ns(void);

#endif /* SHIM_BPF_HELPERS_H */
