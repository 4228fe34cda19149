/* Something else writes to the code, as a debugger does to set a breakpoint. Until that is undone, no
 * update of the key changes anything. The test passes the addresses of the sites, relative to `main`. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
DEFINE_STATIC_CALL(first, one);
DEFINE_STATIC_CALL(second, one);

int call_first(void);
int call_second(void);
__attribute__((noinline)) int call_first(void) { return static_call(first) + 0 * printf("%s", ""); }
__attribute__((noinline)) int call_second(void) { return static_call(second) + 0 * printf("%s", ""); }

static void set_access(uint8_t *byte, int access)
{
	uintptr_t page = (uintptr_t)byte & ~(uintptr_t)4095;
	CHECK(mprotect((void *)page, 8192, access) == 0);
}

static void write_byte(uint8_t *byte, uint8_t value)
{
	set_access(byte, PROT_READ | PROT_WRITE | PROT_EXEC);
	*(volatile uint8_t *)byte = value;
	set_access(byte, PROT_READ | PROT_EXEC);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	/* A byte of second's site or trampoline, whichever the mode patches. */
	uint8_t *byte = (uint8_t *)(uintptr_t)main + strtol(argv[1], NULL, 0);
	CHECK(call_first() == 1 && call_second() == 1);

	uint8_t before = *byte;
	write_byte(byte, 0xcc);
	CHECK(static_call_update(second, two) == -EILSEQ);
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(first, two),
						STATIC_CALL_CHANGE(second, two) };
	CHECK(static_call_update_batch(changes, 2) == -EILSEQ);
	CHECK(*byte == 0xcc);
	CHECK(static_call_query(first) == one && static_call_query(second) == one && call_first() == 1);
	/* The breakpoint does not affect another key's calls. */
	CHECK(static_call_update(first, two) == 0 && call_first() == 2);
	CHECK(static_call_update(first, one) == 0 && call_first() == 1);

	write_byte(byte, before);
	CHECK(call_second() == 1);
	CHECK(static_call_update_batch(changes, 2) == 0);
	CHECK(call_first() == 2 && call_second() == 2);
	report();
	return 0;
}
