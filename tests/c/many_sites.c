/* A key with 1,000 sites, with 10,000 (-DTEN_THOUSAND) or with one (-DONE); the sites are calls, or branches
 * (-DBRANCHES). tests/instructions.rs counts the instructions of loading and updates with callgrind. */
#include "check.h"

#include <static_branch.h>

#ifdef BRANCHES
DEFINE_STATIC_KEY_FALSE(key);

static inline __attribute__((always_inline)) long site(long x)
{
	/* Every branch stays: it stands between two reads. */
	__asm__ volatile("" : "+r"(x));
	if (static_branch_unlikely(&key))
		x += 2;
	return x + 1;
}

static int update(void) { return static_branch_enable(&key); }
#else
static long one(long x) { return x + 1; }

static long three(long x) { return x + 3; }

DEFINE_STATIC_CALL(key, one);

#define site(x) static_call(key, x)

static int update(void) { return static_call_update(key, three); }
#endif

#define TEN(s) s s s s s s s s s s
#define TEN_(s) s s s s s s s s s s
#define TEN__(s) s s s s s s s s s s
#define THOUSAND(name)                                                                               \
	__attribute__((noinline)) static long name(long x)                                           \
	{                                                                                            \
		TEN(TEN_(TEN__(x = site(x);)))                                           \
		return x;                                                                            \
	}

#ifdef ONE
__attribute__((noinline)) static long first(long x)
{
	x = site(x);
	return x;
}
#else
THOUSAND(first)
#endif
#ifdef TEN_THOUSAND
THOUSAND(second)
THOUSAND(third)
THOUSAND(fourth)
THOUSAND(fifth)
THOUSAND(sixth)
THOUSAND(seventh)
THOUSAND(eighth)
THOUSAND(ninth)
THOUSAND(tenth)
#endif

static long run_all(long x)
{
	x = first(x);
#ifdef TEN_THOUSAND
	x = tenth(ninth(eighth(seventh(sixth(fifth(fourth(third(second(x)))))))));
#endif
	return x;
}

int main(void)
{
	long sites = run_all(0);

	CHECK(sites == 1 || sites == 1000 || sites == 10000);
	CHECK(update() == 0);
	CHECK(run_all(0) == 3 * sites);
	report();
	return 0;
}
