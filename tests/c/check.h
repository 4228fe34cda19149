/* What the test programs share: assertions, and the line that the harness reads. */
#ifndef CHECK_H
#define CHECK_H

#include <static_call.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

__attribute__((unused, noreturn)) static void check_failed(const char *file, int line, const char *condition)
{
	fflush(stdout);
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

/* Functions that leave nearly all registers to their callers, where compilers have such. */
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
#define PRESERVE_MOST __attribute__((preserve_most))
#else
#define PRESERVE_MOST
#endif

/* Prints how the calls of this process run at this moment. */
__attribute__((unused)) static void report(void)
{
	const unsigned mode = static_call_mode();
	struct static_call_info info;
	static_call_process_info(&info);
	CHECK(info.sites == info.direct + info.through_trampoline);
	const unsigned writer = static_call_writer();
	printf("mode %u, sites %zu, direct %zu, images %zu, writer %u\n", mode, info.sites, info.direct, info.images,
	       writer);
	fflush(stdout);
}

#endif
