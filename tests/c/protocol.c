/* What an update asks of the operating system, and in which order: both writers keep to their protocol, whatever
 * other threads would notice of it on this machine. The library's own calls come by here. */
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static DEFINE_STATIC_CALL_NULL(hook, void (int *));

__attribute__((noinline)) static int call(void)
{
	int sum = static_call(key);
	static_call_cond(hook, &sum);
	return sum;
}
__attribute__((noinline)) static int tail(void) { return static_call(key); }
static void twice(int *a) { *a *= 2; }

/* One character a system call: m(ake writable), c(lose the window), s(erialize), b(reakpoint), r(est), f(irst). */
static char log_of[64];
static unsigned logged;

static void note(char what)
{
	if (logged < sizeof log_of - 1)
		log_of[logged++] = what;
}

int mprotect(void *start, size_t len, int access)
{
	if (access & PROT_EXEC)
		note(access & PROT_WRITE ? 'm' : 'c');
	int (*real)(void *, size_t, int);
	*(void **)&real = dlsym(RTLD_NEXT, "mprotect");
	return real(start, len, access);
}

ssize_t pwrite64(int file, const void *bytes, size_t len, off64_t offset)
{
	note(len > 1 ? 'r' : *(const unsigned char *)bytes == 0xcc ? 'b' : 'f');
	ssize_t (*real)(int, const void *, size_t, off64_t);
	*(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
	return real(file, bytes, len, offset);
}

long syscall(long number, ...)
{
	long arguments[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_membarrier && arguments[0] == 1 << 5)
		note('s');
	long (*real)(long, ...);
	*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

/* What a change of `sites` instructions looks like. */
static void expect(int sites)
{
	char expected[64];
	char *end = expected;
	if (static_call_writer() == STATIC_CALL_WRITER_WINDOW) {
		strcpy(expected, "msc");
	} else if (static_call_writer() == STATIC_CALL_WRITER_BREAKPOINT) {
		for (const char *round = "brf"; *round; round++) {
			memset(end, *round, sites);
			end += sites;
			*end++ = 's';
		}
		*end = 0;
	} else {
		expected[0] = 0;
	}
	log_of[logged] = 0;
	if (strcmp(log_of, expected) != 0) {
		fprintf(stderr, "an update did %s instead of %s\n", log_of, expected);
		abort();
	}
	logged = 0;
}

int main(void)
{
	const int is_inline = static_call_mode() == STATIC_CALL_MODE_INLINE;
	logged = 0;
	CHECK(call() == 1 && tail() == 1);
	CHECK(static_call_update(key, two) == 0);
	expect(is_inline ? 2 : 1);
	CHECK(call() == 2 && tail() == 2);
	/* Two keys: one window, and the same three rounds for all of their sites. */
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(key, one), STATIC_CALL_CHANGE(hook, twice) };
	CHECK(static_call_update_batch(changes, 2) == 0);
	expect(is_inline ? 3 : 2);
	CHECK(call() == 2 && tail() == 1);
	/* What is so already needs nothing. */
	CHECK(static_call_update(key, one) == 0);
	log_of[logged] = 0;
	CHECK(logged == 0);
	report();
	return 0;
}
