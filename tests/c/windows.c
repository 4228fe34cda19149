/* Which pages an update makes writable, and which rights they have afterwards. The windows are open while
 * an update serializes the other threads, so the test checks them then. Each function with a static call
 * has its own page. */
#include "syscalls.h"

#include <sys/mman.h>

#include "maps.h"

#define PAGE 4096
/* Not static, so that they keep their order. */
#define OWN_PAGE __attribute__((noinline, aligned(PAGE)))

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static DEFINE_STATIC_CALL(key, one);
static DEFINE_STATIC_CALL(other, one);
static DEFINE_STATIC_CALL(side, one);

OWN_PAGE int near(int x) { return static_call(key, x) * 2; }
OWN_PAGE void a_megabyte(void) { __asm__ volatile(".space 0x100000"); }
OWN_PAGE int far(int x) { return static_call(key, x) * 3; }
OWN_PAGE int elsewhere(int x) { return static_call(other, x) * 3; }
/* The library asks the kernel about many adjacent pages in another way than about few. */
#define SIDE(n) OWN_PAGE int side_##n(int x) { return static_call(side, x) * 5; }
SIDE(0)
SIDE(1)
SIDE(2)
SIDE(3)
SIDE(4)
SIDE(5)
SIDE(6)
SIDE(7)
SIDE(8)
SIDE(9)
SIDE(10)
SIDE(11)
static int (*const sides[])(int) = { side_0, side_1, side_2, side_3, side_4,  side_5,
				     side_6, side_7, side_8, side_9, side_10, side_11 };
#define SIDES (sizeof sides / sizeof *sides)
OWN_PAGE void behind(void) {}

static char *page_of(int (*function)(int)) { return (char *)((uintptr_t)function & -(uintptr_t)PAGE); }

/* What was writable during the last update, and the pages that it opened. */
static size_t seen;
static int seen_near, seen_far;
static const char *refused;
static const char *opened[64];
static unsigned openings;

static int before_syscall(long number, const long arguments[6])
{
	if (number == SYS_membarrier && arguments[0] == PRIVATE_EXPEDITED_SYNC_CORE) {
		seen = writable_code();
		seen_near = has_access(page_of(near), "rwx");
		seen_far = has_access(page_of(far), "rwx");
	}
	if (number == SYS_mprotect && arguments[2] & PROT_WRITE && arguments[2] & PROT_EXEC) {
		const char *start = (const char *)arguments[0];
		if (openings < 64)
			opened[openings++] = start;
		if (refused && refused >= start && refused < start + arguments[1])
			return EACCES;
	}
	return 0;
}

static int was_opened(const char *page)
{
	for (unsigned i = 0; i < openings; i++)
		if (opened[i] == page)
			return 1;
	return 0;
}

#define UPDATE(key, function) \
	(openings = 0, seen = 0, seen_near = seen_far = 0, static_call_update(key, function))

static void is_narrow(int is_inline)
{
	CHECK(UPDATE(key, two) == 0 && near(1) == 6 && far(1) == 9);
	if (is_inline)
		CHECK(seen_near && seen_far && seen == 2 * PAGE);
	CHECK(seen <= 2 * PAGE && writable_code() == 0);
	CHECK(UPDATE(side, two) == 0 && seen <= SIDES * PAGE && writable_code() == 0);
	if (is_inline)
		CHECK(seen == SIDES * PAGE && openings == 1);
}

static void keeps_what_is_writable(int is_inline)
{
	CHECK(mprotect(page_of(near), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	CHECK(UPDATE(key, one) == 0 && near(1) == 4 && far(1) == 6);
	CHECK(!was_opened(page_of(near)) && has_access(page_of(near), "rwx") &&
	      has_access(page_of(far), "r-x"));
	CHECK(mprotect(page_of(near), PAGE, PROT_READ | PROT_EXEC) == 0);
	/* The first page of many, the last one, and some in between. */
	static const unsigned kept[] = { 0, 5, 6, SIDES - 1 };
	for (unsigned i = 0; i < 4; i++)
		CHECK(mprotect(page_of(sides[kept[i]]), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	CHECK(UPDATE(side, one) == 0 && openings == (is_inline ? 2 : openings));
	for (unsigned i = 0; i < SIDES; i++) {
		CHECK(sides[i](1) == 10);
		const int is_kept = i == 0 || i == 5 || i == 6 || i == SIDES - 1;
		CHECK(has_access(page_of(sides[i]), is_kept ? "rwx" : "r-x"));
	}
	for (unsigned i = 0; i < 4; i++)
		CHECK(mprotect(page_of(sides[kept[i]]), PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(writable_code() == 0);
}

/* If the second window is refused, the first one is closed. */
static void closes_what_it_opened(int is_inline)
{
	refused = page_of(far);
	const int expected = is_inline ? -EACCES : 0;
	CHECK(UPDATE(key, two) == expected && near(1) == (expected ? 4 : 6));
	CHECK(writable_code() == 0 &&
	      (!is_inline || (was_opened(page_of(near)) && was_opened(page_of(far)))));
	refused = NULL;
	CHECK(UPDATE(key, one) == 0 && near(1) == 4 && far(1) == 6);
}

/* Unmapped code is an error, and all other keys keep working. */
static void says_what_is_gone(int reads_sites)
{
	CHECK(munmap(page_of(far), PAGE) == 0);
	const int expected = reads_sites ? -EFAULT : 0;
	CHECK(UPDATE(key, two) == expected && near(1) == (expected ? 4 : 6));
	CHECK(static_call_query(key) == (expected ? one : two) && writable_code() == 0);
	CHECK(UPDATE(other, two) == 0 && elsewhere(1) == 9);
	CHECK(munmap(page_of(sides[SIDES - 2]), PAGE) == 0);
	CHECK(UPDATE(side, two) == expected && sides[0](1) == (expected ? 10 : 15));
}

int main(void)
{
	CHECK(sysconf(_SC_PAGESIZE) == PAGE);
	/* Only mode inline with the window writer opens pages with calls. */
	const int reads_sites = static_call_mode() == STATIC_CALL_MODE_INLINE;
	const int is_inline = reads_sites && static_call_writer() == STATIC_CALL_WRITER_WINDOW;
	CHECK(near(1) == 4 && far(1) == 6 && writable_code() == 0);
	is_narrow(is_inline);
	keeps_what_is_writable(is_inline);
	closes_what_it_opened(is_inline);
	says_what_is_gone(reads_sites);
	report();
	return 0;
}
