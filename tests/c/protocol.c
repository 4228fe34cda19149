/* The system calls of an update, and their order. Both writers follow their protocol, even if no thread on
 * this machine would notice a missing step. */
#include "syscalls.h"

#include <string.h>
#include <sys/mman.h>

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static DEFINE_STATIC_CALL_NULL(hook, void(int *));

__attribute__((noinline)) static int call(void)
{
	int sum = static_call(key);
	static_call_cond(hook, &sum);
	return sum;
}
__attribute__((noinline)) static int tail(void) { return static_call(key); }
static void twice(int *a) { *a *= 2; }

/* One character for each system call: m for making a page writable, c for closing the window, s for
 * serializing, b for the breakpoint, r for the rest of the instruction, f for its first byte. */
static char log_of[64];
static unsigned logged;

static void note(char what)
{
	if (logged < sizeof log_of - 1)
		log_of[logged++] = what;
}

static int before_syscall(long number, const long arguments[6])
{
	if (number == SYS_membarrier && arguments[0] == PRIVATE_EXPEDITED_SYNC_CORE)
		note('s');
	else if (number == SYS_mprotect && arguments[2] & PROT_EXEC)
		note(arguments[2] & PROT_WRITE ? 'm' : 'c');
#ifdef SYS_pwrite64
	else if (number == SYS_pwrite64)
		note(arguments[2] > 1 ? 'r' : *(const unsigned char *)arguments[1] == 0xcc ? 'b' : 'f');
#endif
	return 0;
}

/* The log must be that of a change of `sites` instructions. */
static void expect(int sites)
{
	char expected[64];
	char *end = expected;
	if (static_call_writer() == STATIC_CALL_WRITER_WINDOW) {
		strcpy(expected, "msc");
	} else if (static_call_writer() == STATIC_CALL_WRITER_ALIAS) {
		strcpy(expected, "s");
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
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(key, one),
						STATIC_CALL_CHANGE(hook, twice) };
	CHECK(static_call_update_batch(changes, 2) == 0);
	expect(is_inline ? 3 : 2);
	CHECK(call() == 2 && tail() == 1);
	/* An update that changes nothing makes no system call. */
	CHECK(static_call_update(key, one) == 0);
	log_of[logged] = 0;
	CHECK(logged == 0);
	report();
	return 0;
}
