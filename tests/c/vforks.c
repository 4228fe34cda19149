/* A vfork child runs in its parent's memory, with its own signal handlers. Its updates are its parent's
 * updates, or are refused if they need the parent's handler. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <static_call.h>

#include "fork.h"

__attribute__((noinline)) static int one(void) { return 1; }
__attribute__((noinline)) static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static atomic_bool stop;

static void *call(void *unused)
{
	while (!atomic_load(&stop)) {
		const int result = static_call(key);
		CHECK(result == 1 || result == 2);
	}
	return unused;
}

/* The result of a child's update, or 1 if the child has its own memory, as in an emulator. */
static int update_in_child(int (*function)(void))
{
	static volatile int result;
	result = 1;
	const pid_t child = vfork();
	if (child == 0) {
		result = static_call_update(key, function);
		_exit(0);
	}
	CHECK(status_of(child) == 0);
	return result;
}

static void update_everywhere(int times)
{
	const int expected = static_call_writer() == STATIC_CALL_WRITER_BREAKPOINT ? -EACCES : 0;
	for (int i = 0; i < times; i++) {
		const int result = update_in_child(two);
		if (result == 1)
			continue;
		CHECK(result == expected);
		CHECK(static_call(key) == (expected ? 1 : 2));
		/* After many refused updates of children, the parent's first update succeeds. */
		if (i % 8 == 7 || !expected)
			CHECK(static_call_update(key, one) == 0 && static_call(key) == 1);
	}
	CHECK(static_call_update(key, two) == 0 && static_call(key) == 2);
	CHECK(static_call_update(key, one) == 0 && static_call(key) == 1);
}

int main(void)
{
	pthread_t thread;
	/* Without sites, the first update of a single-threaded process patches the trampolines. A child
	 * that may not patch them would let them read their keys, which is not an error. */
	struct static_call_info info;
	static_call_process_info(&info);
	if (info.sites == 0)
		CHECK(static_call_update(key, two) == 0 && static_call_update(key, one) == 0);
	CHECK(pthread_create(&thread, NULL, call, NULL) == 0);
	/* First the process has no handler of SIGTRAP, then it has one. */
	for (int i = 0; i < 2; i++)
		update_everywhere(40);
	/* A fork child has its own memory, and may have vfork children. */
	for (int i = 0; i < 2; i++) {
		const pid_t child = fork();
		if (child == 0) {
			update_everywhere(16);
			_exit(0);
		}
		CHECK(status_of(child) == 0);
	}
	atomic_store(&stop, 1);
	CHECK(pthread_join(thread, NULL) == 0);
	report();
	return 0;
}
