/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generic netlink by hand, so that a test can also say what no library would: requests with wrong
 * attributes, from a 32-bit program, without rights.
 */
#ifndef SELFTEST_GENL_H
#define SELFTEST_GENL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/infini.h>

#define GENL_ATTRS	64

struct genl {
	int fd;
	uint16_t family;
	uint32_t group;
	uint32_t seq;
	char message[256];	/* the module's own sentence about the last error */
	const void *answer;	/* the attributes that a genl_fn looks at */
	size_t answer_bytes;
	char reason[INFINI_END_REASON_MAX];	/* of the last event, or "" */
};

/* A request being built. */
struct genl_request {
	uint8_t bytes[2048];
	size_t used;
};

/* An attribute of an answer; NULL data when it is absent. */
struct genl_attr {
	const void *data;
	size_t bytes;
};

typedef void (*genl_fn)(uint8_t cmd, const struct genl_attr *attrs, void *arg);

struct genl_vdev {
	uint32_t id, clients, queues, buffers, programs, executor, executor_pid;
	int32_t minor;
	uint64_t memory_used_bytes;
	char name[32];
};

struct genl_list {
	uint32_t nr;
	struct genl_vdev vdevs[64];
};

/* 0; -ENOENT when the module is not loaded. */
int genl_open(struct genl *genl);
void genl_close(struct genl *genl);

/* Before 6.2 an extended ack takes constant sentences only, and the module's are not. */
bool genl_has_sentences(void);

void genl_begin(struct genl_request *request, uint8_t cmd);
void genl_put(struct genl_request *request, uint16_t type, const void *data, size_t bytes);
void genl_put_u32(struct genl_request *request, uint16_t type, uint32_t value);
void genl_put_u64(struct genl_request *request, uint16_t type, uint64_t value);
void genl_put_string(struct genl_request *request, uint16_t type, const char *value);

/* Send and read the answer up to its end; @fn, when given, for each message of the family. */
int genl_talk(struct genl *genl, struct genl_request *request, bool dump, genl_fn fn, void *arg);

/* Attributes of @bytes at @from into a table by type. */
void genl_parse(const void *from, size_t bytes, struct genl_attr *attrs);
/* The @nth attribute of @type, from 0, for one that comes more than once; inside a genl_fn. */
struct genl_attr genl_nth(const struct genl *genl, uint16_t type, unsigned int nth);
uint32_t genl_u32(const struct genl_attr *attr);
uint64_t genl_u64(const struct genl_attr *attr);

int genl_vdev_create(struct genl *genl, const char *name, const char *device, uint64_t memory,
		     uint32_t uid, uint32_t mode, uint32_t *id);
int genl_vdev_delete(struct genl *genl, uint32_t id, bool force);
int genl_vdevs(struct genl *genl, struct genl_list *list);
int genl_devices(struct genl *genl, uint32_t *nr);

/* Events: join, then read one (0), -EAGAIN when none waits. */
int genl_join(struct genl *genl);
int genl_event(struct genl *genl, uint32_t *type, uint32_t *vdev, uint32_t *pid);

#endif /* SELFTEST_GENL_H */
