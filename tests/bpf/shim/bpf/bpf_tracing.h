/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In front of libbpf's: no programs are made on the host. */
