/*
 * The code after a call and before a return, where hardened code compares and clears registers. Every
 * function here calls a key once, and then does something that fails if the call, or the return that replaces
 * it, is wrong.
 */
#include "check.h"

static void trace(int x) { (void)x; }
static long compute(long x) { return x + 7; }

DEFINE_STATIC_CALL_NULL(hook, trace);
DEFINE_STATIC_CALL_RET0(zero, compute);
DEFINE_STATIC_CALL(always, compute);

#define NOINLINE __attribute__((noinline))

NOINLINE static int load_behind(int *p)
{
	static_call_cond(hook, 1);
	return *p;
}

NOINLINE static long load_behind_zero(long **p, long x) { return static_call(zero, x) + **p; }

NOINLINE static long load_in_a_loop(long *p, long n)
{
	long sum = 0;
	for (long i = 0; i < n; i++) {
		static_call_cond(hook, 1);
		sum += p[i] + static_call(always, i);
	}
	return sum;
}

NOINLINE static void tail(int x) { static_call_cond(hook, x); }
NOINLINE static void conditional_tail(int x)
{
	if (x > 3)
		static_call_cond(hook, x);
}
NOINLINE static long tail_zero(long x) { return static_call(zero, x); }

static void all(long off)
{
	int number = 42;
	long numbers[] = { 1, 2, 3 }, *first = numbers;
	CHECK(load_behind(&number) == 42);
	CHECK(load_behind_zero(&first, 5) == (off ? 1 : 13));
	CHECK(load_in_a_loop(numbers, 3) == 6 + 21 + 3);
	tail(1);
	conditional_tail(1);
	conditional_tail(5);
	CHECK(tail_zero(1) == (off ? 0 : 8));
}

int main(void)
{
	for (int i = 0; i < 3; i++) {
		all(1);
		CHECK(static_call_update(hook, trace) == 0);
		CHECK(static_call_update(zero, compute) == 0);
		all(0);
		CHECK(static_call_update(hook, NULL) == 0);
		CHECK(static_call_update_ret0(zero) == 0);
	}
	report();
	return 0;
}
