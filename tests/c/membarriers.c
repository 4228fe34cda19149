/* The library registers for membarrier before main, because a process with threads would have to wait, and
 * only if code will be patched. membarriers N: expects N registrations. */
#include "syscalls.h"

#include <pthread.h>

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);

static int registered, serialized;

static int before_syscall(long number, const long arguments[6])
{
	if (number == SYS_membarrier) {
		registered += arguments[0] == REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
		serialized += arguments[0] == PRIVATE_EXPEDITED_SYNC_CORE;
	}
	return 0;
}

static void *wait_for_ever(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	const int expected = atoi(argv[1]);
	CHECK(registered == expected);
	const int before = serialized;
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
	CHECK(static_call_update(key, two) == 0);
#ifndef NO_CALLS
	CHECK(static_call(key) == 2);
#endif
	CHECK(registered == expected && serialized == before + expected);
	/* Trampolines alone need no registration. */
	CHECK(static_call_mode() != STATIC_CALL_MODE_GENERIC || !expected);
	printf("%s\n", static_call_mode_reason());
	report();
	return 0;
}
