/* What the test programs share: assertions, and the line that the harness reads. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <static_call.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

__attribute__((unused, noreturn)) static void check_failed(const char *file, int line, const char *condition)
{
	fflush(stdout);
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

/* An update while other threads start, end or fork. The C library blocks all signals for a moment then.
 * With breakpoints, an update waits for that moment to end, but not as long as it may take on a busy
 * machine. */
#define PATIENTLY(update)                                                                     \
	({                                                                                    \
		const time_t end_ = time(NULL) + 10;                                          \
		int result_;                                                                  \
		while ((result_ = (update)) == -EAGAIN && time(NULL) < end_)                  \
			;                                                                     \
		result_;                                                                      \
	})

/* Functions that preserve nearly all registers, if the compiler supports them. */
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
#define PRESERVE_MOST __attribute__((preserve_most))
#else
#define PRESERVE_MOST
#endif

/* Prints how this process's calls run now. */
__attribute__((unused)) static void report(void)
{
	const unsigned mode = static_call_mode();
	struct static_call_info info;
	static_call_process_info(&info);
	CHECK(info.sites == info.direct + info.through_trampoline);
	const unsigned writer = static_call_writer();
	printf("mode %u, sites %zu, direct %zu, images %zu, writer %u\n", mode, info.sites, info.direct,
	       info.images, writer);
	fflush(stdout);
}

#endif
