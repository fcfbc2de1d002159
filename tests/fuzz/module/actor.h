/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the processes that call the module at random have in common: memory that all of them see,
 * random numbers, and the one way to make a call, which counts how it ended.
 */
#ifndef INFINI_FUZZ_ACTOR_H
#define INFINI_FUZZ_ACTOR_H

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define PAGE			4096
#define SECOND			1000000000LL
#define NOBODY			65534

#define VDEVS			6	/* named v0, v1, ... */
#define DEVICES			2	/* named fuzz0, fuzz1 */
#define SLOTS			64	/* threads at once */
#define PROCESSES		4	/* that are killed: two clients, the owner, the administrator */
#define ERRNOS			531	/* beyond the last, as no system call may say it */

enum call {
	CALL_QUERY, CALL_VDEV_OPEN, CALL_DEVICE_REGISTER,
	CALL_VDEV_INFO, CALL_VDEV_STATS, CALL_QUEUE_CREATE, CALL_QUEUE_DESTROY,
	CALL_BUFFER_CREATE, CALL_BUFFER_DESTROY, CALL_PROGRAM_CREATE, CALL_PROGRAM_DESTROY,
	CALL_SUBMIT, CALL_WAIT,
	CALL_EXECUTOR_CREATE, CALL_EXECUTOR_ATTACH, CALL_EXCHANGE, CALL_PROGRAM_READ,
	CALL_BUFFER_RECEIVE, CALL_END_REASON,
	CALL_NODE_OPEN, CALL_CLOSE, CALL_READ, CALL_POLL, CALL_FDINFO,
	CALL_MMAP_BUFFER, CALL_MMAP_TIMELINE, CALL_MMAP_WORD, CALL_MMAP_EXECUTOR,
	CALL_MUNMAP, CALL_MPROTECT, CALL_MREMAP, CALL_TOUCH, CALL_FORK, CALL_SEND_FD, CALL_RECV_FD,
	CALL_NL_DEVICE_GET, CALL_NL_DEVICE_LIST, CALL_NL_VDEV_GET, CALL_NL_VDEV_LIST,
	CALL_NL_VDEV_NEW, CALL_NL_VDEV_SET, CALL_NL_VDEV_DEL, CALL_NL_EVENT,
	CALL_DEBUGFS, CALL_SYSFS,
	/* whatever: a number or a kind of file that nobody promised anything for; may always fail */
	CALL_STRAY,
	CALLS
};

struct outcome {
	_Atomic uint64_t ok;
	_Atomic uint64_t failed[ERRNOS];
};

/* What a thread is doing, so that one that hangs is seen. */
struct slot {
	_Atomic int32_t pid;
	_Atomic uint32_t call;
	_Atomic int64_t since_ns;	/* 0 between calls */
};

/* Seen by all processes. */
struct shared {
	uint64_t seed;
	bool faults;
	_Atomic bool stop;
	_Atomic uint64_t calls;
	_Atomic uint64_t injected;	/* failures of the kernel's fault injection that came to pass */
	_Atomic uint64_t mangled;
	_Atomic uint64_t executors, executors_killed, revoked, jobs;
	_Atomic int32_t executor_kills;	/* that the owner of the devices is to do */
	_Atomic uint32_t vdevs[VDEVS];	/* their ids */
	_Atomic uint32_t wrong;		/* promises that were not kept; the first says which */
	char first_wrong[256];
	_Atomic int locked[PROCESSES];
	int mail[2];			/* sockets over which files are passed */
	struct outcome outcomes[CALLS];
	struct slot slots[SLOTS];
};

extern struct shared *shared;

/* One thread. */
struct actor {
	uint64_t random;
	int fail_nth;			/* its file in /proc, or -1 */
	struct slot *slot;
	uint8_t *room;			/* two pages, behind which a hole is */
	sigjmp_buf back;		/* where a fault in touched memory goes */
	volatile sig_atomic_t touching;
	int process;			/* whose other thread may fork, see process_lock(), or -1 */
};

extern _Thread_local struct actor me;

/* Begin as thread @index of the @turn-th process of its kind. */
void actor_begin(unsigned int index, unsigned int turn);
int64_t now_ns(void);

/*
 * A process is not killed while it forks: User-mode Linux falls over an address space that was
 * copied in part.
 */
bool process_trylock(unsigned int process);
void process_lock(unsigned int process);
void process_unlock(unsigned int process);
pid_t process_fork(unsigned int process);

uint64_t random_u64(void);
/* 0..@below - 1 */
uint32_t random_below(uint32_t below);
/* One in @n. */
bool one_in(uint32_t n);
/* A number at which comparisons go wrong. */
uint64_t random_odd(void);
/* A wait's deadline: mostly soon, so that a call seldom costs more than a look. */
int64_t random_deadline(void);

/* A promise of the module was not kept. */
void promise_broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Around each call. The kernel may be told to fail an allocation or a copy in between.
 * call_end() returns @result, which is -errno when negative.
 */
void call_begin(enum call call);
long call_end(enum call call, long result);

#define CALL(_call, _expression) ({						\
	long __result;								\
										\
	call_begin(_call);							\
	__result = (_expression);						\
	call_end(_call, __result < 0 ? -errno : __result);			\
})

/*
 * An ioctl with a struct of @size bytes, of which now and then a part is wrong: a field, the size,
 * the pointer, what it points to. What came back is in @arg.
 */
int call_ioctl(enum call call, int fd, unsigned long nr, void *arg, size_t size);
/* The same, and all of it right. */
int call_ioctl_right(enum call call, int fd, unsigned long nr, void *arg, size_t size);
/* Now and then a part of @bytes becomes another. */
void mangle(void *at, size_t bytes);

/* Read or write each page of @bytes at @at; what cannot be touched is no accident. */
void touch(uint8_t *at, size_t bytes, bool write);

void send_fd(int fd);
/* -1 when none waits. */
int receive_fd(void);

/* Processes; they end when shared->stop is set. */
/* Why @fd, a device's or an executor's, is about to be closed. */
void end_reason(int fd);
void client_run(unsigned int index, unsigned int turn);
void owner_run(unsigned int turn);
void admin_run(unsigned int turn);
void executor_run(int fd, unsigned int vdev, unsigned int turn) __attribute__((noreturn));

/* Which processes and threads have which index. */
#define PROCESS_OWNER			2
#define PROCESS_ADMIN			3
#define ACTOR_CLIENT(client, thread)	((client) * 2 + (thread))
#define ACTOR_OWNER			8
#define ACTOR_ADMIN			9
#define ACTOR_EXECUTOR(vdev)		(10 + (vdev) * 2)

/* calls.c: what was counted. */
const char *call_name(enum call call);
void calls_print(void);
/* How many calls never succeeded; each is named. */
unsigned int calls_never_right(void);
/* How many ended with an error that their contract does not know. */
unsigned int calls_strange(void);

#endif /* INFINI_FUZZ_ACTOR_H */
