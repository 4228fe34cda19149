/* Arm's two instruction sets: callers and targets in each, and conditional calls. */
#include "check.h"

#define A32 __attribute__((target("arm"), noinline))
#define THUMB __attribute__((target("thumb"), noinline))

A32 static int arm(int x) { return x + 1; }
THUMB static int thumb(int x) { return x + 2; }
static DEFINE_STATIC_CALL(key, arm);

/* Two sites. */
A32 static int arm_calls(int x) { return static_call(key, x) + 10; }
A32 static int arm_jumps(int x) { return static_call(key, x); }
/* None. */
THUMB static int thumb_calls(int x) { return static_call(key, x) + 10; }
THUMB static int thumb_jumps(int x) { return static_call(key, x); }

static int counted, after;
A32 static void count(int x) { counted += x; }
A32 static void count_twice(int x) { counted += 2 * x; }
static DEFINE_STATIC_CALL_NULL(hook, count);

/* With other code around it, so that it is not a tail call: `bleq`. */
A32 static void sometimes(int x)
{
	if (x)
		static_call(hook, x);
	__asm__ volatile("" ::: "memory");
	after++;
}

static void expect(int added)
{
	CHECK(arm_calls(1) == 11 + added && thumb_calls(1) == 11 + added);
	CHECK(arm_jumps(1) == 1 + added && thumb_jumps(1) == 1 + added);
}

static void expect_count(int count)
{
	counted = after = 0;
	sometimes(0);
	sometimes(5);
	CHECK(counted == count && after == 2);
}

int main(void)
{
	for (int round = 0; round < 3; round++) {
		CHECK(static_call_update(key, arm) == 0);
		expect(1);
		expect_count(0);
		CHECK(static_call_update(hook, count) == 0);
		expect_count(5);
		CHECK(static_call_update(key, thumb) == 0);
		expect(2);
		CHECK(static_call_update(hook, count_twice) == 0);
		expect_count(10);
		CHECK(static_call_update(hook, NULL) == 0);
	}
	report();
	return 0;
}
