/* A refused update that each call repeats soon costs almost nothing, and succeeds soon after the obstacle
 * is gone. Updates of other keys, and children's updates, are not refused because of it. */
#include "syscalls.h"

#include "restrict.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "fork.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static DEFINE_STATIC_CALL(other, one);
static DEFINE_STATIC_CALL(never_called, one);
/* Nothing can refuse updates of these: one is a pointer from the start, one is made one. */
static DEFINE_STATIC_CALL_POINTER(pointer, one);
static DEFINE_STATIC_CALL(made_pointer, one);
static atomic_int is_masked;
static long calls;

__attribute__((noinline)) static int call(void) { return static_call(key) * 1; }
__attribute__((noinline)) static int call_other(void) { return static_call(other) * 1; }

__attribute__((noinline)) static int call_pointer(void) { return static_call(pointer) * 1; }
__attribute__((noinline)) static int call_made_pointer(void) { return static_call(made_pointer) * 1; }

static int before_syscall(long number, const long arguments[6])
{
	(void)arguments;
	/* The lock always asks for the thread's ID and blocks signals. */
	calls += number != SYS_gettid && number != SYS_rt_sigprocmask;
	return 0;
}

static void *masks(void *unused)
{
	sigset_t set;
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	is_masked = 1;
	while (is_masked == 1)
		usleep(100);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	is_masked = 3;
	while (is_masked == 3)
		usleep(100);
	return unused;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* After this, updates are refused without a check for some milliseconds. */
static void begin_pause(int error)
{
	for (calls = 0; calls == 0;)
		CHECK(static_call_update(key, two) == error);
	do {
		calls = 0;
		CHECK(static_call_update(key, two) == error);
	} while (calls);
}

static void set_pointers(void)
{
	for (int i = 0; i < 10; i++) {
		calls = 0;
		static_call_set(pointer, i % 2 ? one : two);
		static_call_set(made_pointer, i % 2 ? one : two);
		CHECK(call_pointer() == (i % 2 ? 1 : 2) && call_made_pointer() == (i % 2 ? 1 : 2));
		CHECK(static_call_update(pointer, one) == 0 && call_pointer() == 1);
		CHECK(calls == 0);
	}
	struct static_call_info info;
	static_call_key_info(pointer, &info);
	CHECK(info.direct == 0);
	static_call_key_info(made_pointer, &info);
	CHECK(info.direct == 0);
}

/* Over several pauses there are far fewer system calls than updates. */
static void refused(int error)
{
	set_pointers();
	CHECK(static_call_make_pointer(key) == error && call() == 1);
	for (int i = 0; i < 10; i++) {
		struct static_call_change changes[] = { STATIC_CALL_CHANGE(key, two),
							STATIC_CALL_CHANGE(never_called, two) };
		CHECK(static_call_update(key, two) == error && call() == 1);
		CHECK(static_call_update_batch(changes, 2) == error);
	}
	long updates = 0;
	calls = 0;
	for (double end = now() + 0.1; now() < end; updates++) {
		CHECK(static_call_update(key, two) == error && call() == 1);
		/* Nothing can refuse these. */
		CHECK(static_call_update(never_called, updates % 2 ? one : two) == 0);
		struct static_call_change changes[] = { STATIC_CALL_CHANGE(never_called,
									   updates % 2 ? two : one),
							STATIC_CALL_CHANGE(key, two) };
		CHECK(static_call_update_batch(changes, 2) == error);
		CHECK(static_call_query(never_called) == (updates % 2 ? one : two));
	}
	if (calls * 5 > updates) {
		fprintf(stderr, "%ld system calls in %ld updates\n", calls, updates);
		abort();
	}
	CHECK(calls > 0 || error == -EROFS);
	begin_pause(error);
	CHECK(static_call_update(other, two) == error && call_other() == 1 && calls > 0);
}

/* A child does not have the thread that masks SIGTRAP. */
static void child_updates(pid_t child)
{
	if (child == 0)
		_exit(!(static_call_update(key, two) == 0 && call() == 2 &&
			static_call_update(other, two) == 0 && call_other() == 2));
	CHECK(status_of(child) == 0);
}

/* refused_again RIGHT: gives up that right. refused_again masked: a thread masks SIGTRAP. */
int main(int argc, char **argv)
{
	CHECK(argc == 2);
	/* Before anything is patched, and while nothing is refused. */
	CHECK(static_call_update(key, two) == 0 && static_call_update(key, one) == 0 && call() == 1);
	CHECK(static_call_update(made_pointer, two) == 0 && call_made_pointer() == 2);
	CHECK(static_call_make_pointer(made_pointer) == 0 && call_made_pointer() == 2);
	set_pointers();
	if (!strcmp(argv[1], "masked")) {
		pthread_t thread;
		CHECK(static_call_writer() == STATIC_CALL_WRITER_BREAKPOINT);
		CHECK(pthread_create(&thread, NULL, masks, NULL) == 0);
		while (!is_masked)
			usleep(100);
		refused(-EAGAIN);
		begin_pause(-EAGAIN);
		child_updates(fork());
		if (has_wiped_pages()) {
			begin_pause(-EAGAIN);
			child_updates(raw_clone());
		}
		begin_pause(-EAGAIN);
		is_masked = 2;
		while (is_masked != 3)
			usleep(100);
		CHECK(static_call_update(other, two) == 0 && call_other() == 2);
		int result = -1;
		for (int i = 0; i < 30 && result; i++) {
			result = static_call_update(key, two);
			usleep(1000);
		}
		CHECK(result == 0 && call() == 2);
		/* From then on, updates check again. */
		for (int i = 0; i < 100; i++)
			CHECK(static_call_update(key, i % 2 ? two : one) == 0);
		CHECK(static_call_update(key, one) == 0);
		is_masked = 4;
		CHECK(pthread_join(thread, NULL) == 0);
	} else {
		if (give_up(argv[1])) {
			perror(argv[1]);
			return 77;
		}
		refused(-EACCES);
	}
	int sealed = static_call_seal();
	CHECK(sealed == 0 || sealed == -EACCES);
	CHECK(static_call_make_pointer(key) == -EROFS);
	static_call_set(pointer, two);
	CHECK(call_pointer() == 1);
	calls = 0;
	for (int i = 0; i < 1000; i++)
		CHECK(static_call_update(key, two) == -EROFS && call() == 1);
	CHECK(calls == 0);
	report();
	return 0;
}
