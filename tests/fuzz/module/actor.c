// SPDX-License-Identifier: GPL-2.0-or-later
/* Random numbers, calls that are counted, faults that are injected into them, files passed on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/infini.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"

struct shared *shared;
_Thread_local struct actor me;

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

/* ---- random numbers: splitmix64 ---- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

uint64_t random_u64(void)
{
	return mix(me.random += 0x9e3779b97f4a7c15ULL);
}

uint32_t random_below(uint32_t below)
{
	return (random_u64() >> 32) * below >> 32;
}

bool one_in(uint32_t n)
{
	return !random_below(n);
}

uint64_t random_odd(void)
{
	static const uint64_t odd[] = {
		0, 1, 2, 3, 7, 8, 16, 31, 32, 63, 64, 65, 255, 256, 511, 512, 4095, 4096, 4097, 65535,
		65536, 1 << 20, (1 << 20) - 1, (1 << 20) + 1, 64 << 20, INT32_MAX, 1ULL << 31,
		UINT32_MAX, 1ULL << 32, 1ULL << 40, (1ULL << 40) - 4096, 1ULL << 61, INT64_MAX,
		1ULL << 63, UINT64_MAX, UINT64_MAX - 4095, UINT64_MAX - 7, 0xffff888000000000ULL,
		0x60000000ULL,
	};

	return one_in(4) ? random_u64() >> random_below(64) :
	       odd[random_below(ARRAY_SIZE(odd))] + (one_in(4) ? random_below(9) - 4 : 0);
}

int64_t random_deadline(void)
{
	if (one_in(64))
		return INFINI_FOREVER;
	if (one_in(3))
		return 0;
	return now_ns() + random_below(one_in(8) ? 20000000 : 1000000);
}

/* ---- threads ---- */

/* Two pages, then none: what is read behind the end of a struct faults. */
static uint8_t *make_room(void)
{
	uint8_t *at = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || munmap(at + 2 * PAGE, PAGE))
		_exit(1);
	return at;
}

static void on_fault(int signal)
{
	if (me.touching)
		siglongjmp(me.back, 1);
	/*
	 * No mapping of the module's: it ends the process, here and now. A frame of a signal that could not be
	 * read back, where a failure was injected into that, left a call's result 0 whatever it was. Nor does it
	 * end while another thread forks, see process_lock().
	 */
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(signal, &action, NULL);
	if (me.process >= 0)
		process_lock(me.process);
	raise(signal);
}

static void on_wake(int signal)
{
	(void)signal;
}

void actor_begin(unsigned int index, unsigned int turn)
{
	struct sigaction fault = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	struct sigaction wake = { .sa_handler = on_wake };

	memset(&me, 0, sizeof(me));
	me.process = -1;
	me.random = mix(shared->seed + index * 0x10001ULL + ((uint64_t)turn << 32));
	me.slot = &shared->slots[index % SLOTS];
	me.slot->since_ns = 0;
	me.slot->pid = getpid();
	me.room = make_room();
	/* A thread's own, and the right of root: user nobody goes without. */
	me.fail_nth = shared->faults ? open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC) : -1;
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGUSR1, &wake, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool process_trylock(unsigned int process)
{
	int none = 0;

	return atomic_compare_exchange_strong(&shared->locked[process], &none, 1);
}

void process_lock(unsigned int process)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	while (!process_trylock(process))
		nanosleep(&pause, NULL);
}

void process_unlock(unsigned int process)
{
	shared->locked[process] = 0;
}

pid_t process_fork(unsigned int process)
{
	pid_t parent = getpid(), pid;

	process_lock(process);
	pid = fork();
	if (pid) {
		process_unlock(process);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Killed before that could be said, the parent leaves a child that may wait for ever for nobody. */
	if (getppid() != parent)
		_exit(0);
	return 0;
}

void promise_broken(const char *format, ...)
{
	va_list args;

	if (atomic_fetch_add(&shared->wrong, 1))
		return;
	va_start(args, format);
	vsnprintf(shared->first_wrong, sizeof(shared->first_wrong), format, args);
	va_end(args);
}

/* ---- calls ---- */

static _Thread_local bool armed;

static void arm(void)
{
	char text[12];
	int bytes = snprintf(text, sizeof(text), "%u", 1 + random_below(one_in(4) ? 60 : 12));

	armed = pwrite(me.fail_nth, text, bytes, 0) == bytes;
}

/* The failure that did not come to pass may strike the very calls that ask and disarm. */
static void disarm(void)
{
	char text[12] = "";
	int tries = 10;

	armed = false;
	if (pread(me.fail_nth, text, sizeof(text) - 1, 0) > 0 && !atoi(text))
		shared->injected++;
	while (pwrite(me.fail_nth, "0", 1, 0) != 1 && tries--)
		;
}

void call_begin(enum call call)
{
	me.slot->call = call;
	me.slot->since_ns = now_ns();
	/* Not fork(), see process_lock(). */
	if (me.fail_nth >= 0 && call != CALL_FORK && one_in(16))
		arm();
}

long call_end(enum call call, long result)
{
	if (armed)
		disarm();
	me.slot->since_ns = 0;
	shared->calls++;
	if (result >= 0)
		shared->outcomes[call].ok++;
	else
		shared->outcomes[call].failed[-result < ERRNOS ? -result : ERRNOS - 1]++;
	return result;
}

void mangle(void *at, size_t bytes)
{
	uint64_t value = random_odd();
	size_t wide = one_in(2) && bytes >= 8 ? 8 : 4;

	shared->mangled++;
	memcpy((uint8_t *)at + random_below(bytes / wide) * wide, &value, wide);
}

static uint32_t wrong_size(size_t size)
{
	switch (random_below(6)) {
	case 0:
		return random_odd();
	case 1:
		return size - 8;
	case 2:
		return size + 8;
	case 3:
		return PAGE;
	case 4:
		return 4;
	default:
		return size + 8 * random_below(64);
	}
}

static void *wrong_pointer(size_t size)
{
	switch (random_below(4)) {
	case 0:
		return NULL;
	case 1:
		return me.room + 2 * PAGE - random_below(size + 8);
	case 2:
		return (void *)random_odd();
	default:
		return me.room + 1 + random_below(64);
	}
}

int call_ioctl(enum call call, int fd, unsigned long nr, void *arg, size_t size)
{
	void *at = me.room;

	*(uint32_t *)arg = size;
	if (!one_in(8))
		return call_ioctl_right(call, fd, nr, arg, size);
	memset(me.room, one_in(8) ? 0xff : 0, 2 * PAGE);
	memcpy(at, arg, size);
	if (one_in(4)) {
		*(uint32_t *)at = wrong_size(size);
		shared->mangled++;
	} else if (one_in(8)) {
		at = wrong_pointer(size);
	} else {
		mangle(at, size);
	}
	nr = CALL(call, ioctl(fd, nr, at));
	if (at == me.room)
		memcpy(arg, at, size);
	return nr;
}

int call_ioctl_right(enum call call, int fd, unsigned long nr, void *arg, size_t size)
{
	*(uint32_t *)arg = size;
	return CALL(call, ioctl(fd, nr, arg));
}

void end_reason(int fd)
{
	struct infini_end_reason arg = { .reason = "it is a fuzzer's" };

	if (one_in(8))
		arg.reason[random_below(sizeof(arg.reason))] = random_u64();
	call_ioctl(CALL_END_REASON, fd, INFINI_IOC_END_REASON, &arg, sizeof(arg));
}

/* ---- memory ---- */

void touch(uint8_t *at, size_t bytes, bool write)
{
	volatile size_t i = 0;
	volatile long result = 0;

	call_begin(CALL_TOUCH);
	if (!sigsetjmp(me.back, 1)) {
		me.touching = 1;
		for (; i < bytes; i += PAGE) {
			if (write)
				*(volatile uint8_t *)(at + i) = 0xa5;
			else
				(void)*(volatile uint8_t *)(at + i);
		}
	} else {
		result = -EFAULT;
	}
	me.touching = 0;
	call_end(CALL_TOUCH, result);
}

/* ---- files of others ---- */

union fd_message {
	struct cmsghdr head;
	uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

void send_fd(int fd)
{
	union fd_message control = { .head = {
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
	} };
	struct iovec byte = { "", 1 };
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	CALL(CALL_SEND_FD, sendmsg(shared->mail[one_in(2)], &message, MSG_DONTWAIT));
}

int receive_fd(void)
{
	union fd_message control = { .bytes = { 0 } };
	uint8_t text;
	struct iovec byte = { &text, 1 };
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (CALL(CALL_RECV_FD, recvmsg(shared->mail[one_in(2)], &message,
				       MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0)
		return -1;
	if (CMSG_FIRSTHDR(&message) && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}
