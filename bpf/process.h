/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of processes. */
#ifndef INFINI_BPF_PROCESS_H
#define INFINI_BPF_PROCESS_H

/* The command's name of process @pid, or "(ended)", into @name; returns it. */
#define PROCESS_NAME	64
const char *process_name(int pid, char name[PROCESS_NAME]);

#endif /* INFINI_BPF_PROCESS_H */
