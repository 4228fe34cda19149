/* Static branches, as kernel code writes them. */
#include "check.h"
#include <static_branch.h>
#include <string.h>

static DEFINE_STATIC_KEY_FALSE(off);
DEFINE_STATIC_KEY_TRUE(on);
DECLARE_STATIC_KEY_TRUE(on);
static DEFINE_STATIC_KEY_FALSE(counted);

static int seen, evaluated;
static void see(int a, int b);
static DEFINE_STATIC_CALL_NULL(hook, see);
static void see(int a, int b) { seen = 10 * a + b; }

static int evaluate(int value)
{
	evaluated++;
	return value;
}

static __attribute__((noinline)) void call_lazily(int a) { static_call_lazy(hook, evaluate(a), 7); }

static void check_lazy(void)
{
	call_lazily(1);
	CHECK(seen == 0 && evaluated == 0);
	CHECK(static_call_update(hook, see) == 0);
	call_lazily(2);
	CHECK(seen == 27 && evaluated == 1);
	CHECK(static_call_update(hook, NULL) == 0);
	call_lazily(3);
	CHECK(seen == 27 && evaluated == 1);
}

__attribute__((noinline)) static int unlikely(int a)
{
	if (static_branch_unlikely(&off))
		return a * 2;
	return a;
}

__attribute__((noinline)) static int likely(int a)
{
	if (static_branch_likely(&on))
		return a;
	return a * 2;
}

__attribute__((noinline)) static int as_data(void)
{
	return static_branch_unlikely(&off) << 3 | static_branch_likely(&off) << 2 |
	       static_branch_unlikely(&on) << 1 | static_branch_likely(&on);
}

__attribute__((noinline)) static int in_a_loop(const int *numbers, int count)
{
	int sum = 0;
	for (int i = 0; i < count; i++) {
		if (static_branch_unlikely(&off))
			continue;
		sum += numbers[i];
	}
	return sum;
}

static inline __attribute__((always_inline)) int inlined(int a)
{
	return static_branch_unlikely(&off) ? a + 10 : a;
}

static void check_ways(int is_off_on, int is_on_on)
{
	const int numbers[] = { 1, 2, 3 };

	CHECK(unlikely(3) == (is_off_on ? 6 : 3));
	CHECK(likely(3) == (is_on_on ? 3 : 6));
	CHECK(as_data() == ((is_off_on ? 12 : 0) | (is_on_on ? 3 : 0)));
	CHECK(in_a_loop(numbers, 3) == (is_off_on ? 0 : 6));
	CHECK(inlined(1) + inlined(2) == (is_off_on ? 23 : 3));
	CHECK(static_key_enabled(&off) == is_off_on && static_key_enabled(&on) == is_on_on);
}

/* Functions and branches change together, or not at all. */
static void check_batches(void)
{
	struct static_call_change changes[] = { STATIC_BRANCH_CHANGE(&off, 1), STATIC_CALL_CHANGE(hook, see),
						STATIC_BRANCH_CHANGE(&on, 0) };

	CHECK(static_call_update_batch(changes, 3) == 0);
	check_ways(1, 0);
	seen = 0;
	call_lazily(4);
	CHECK(seen == 47);
	/* The old state is still there. */
	CHECK(static_call_update_batch(changes, 3) == 0);
	check_ways(0, 1);
	seen = 0;
	call_lazily(5);
	CHECK(seen == 0);
	CHECK(static_branch_inc(&off) == 0 && static_branch_inc(&off) == 0);
	struct static_call_change refused[] = { STATIC_BRANCH_CHANGE(&on, 0), STATIC_BRANCH_CHANGE(&off, 0) };
	CHECK(static_call_update_batch(refused, 2) == -34);
	check_ways(1, 1);
	CHECK(static_branch_dec(&off) == 0 && static_branch_dec(&off) == 0);
	refused[1] = refused[0];
	CHECK(static_call_update_batch(refused, 2) == -22);
	check_ways(0, 1);
}

__attribute__((noinline, cold)) void cold(long value, long other);
void cold(long value, long other) { __asm__ volatile("" : : "r"(value + other)); }

static long last;
static void see_four(long a, long b, long c, long d) { last = 1000 * a + 100 * b + 10 * c + d; }
static DEFINE_STATIC_CALL_NULL(hot_hook, see_four);

#ifdef __cplusplus
extern "C" {
#endif
__attribute__((noinline)) long hot_leaf(long value);
__attribute__((noinline)) long hot_likely(long value);
__attribute__((noinline)) long hot_lazy(long value);
#ifdef __cplusplus
}
#endif
/* The test inspects their machine code: one addition each. */
long hot_leaf(long value)
{
	if (static_branch_unlikely(&off))
		cold(value, 3);
	return value + 1;
}
long hot_likely(long value)
{
	if (static_branch_likely(&on))
		return value + 1;
	cold(value, 4);
	return 0;
}
long hot_lazy(long value)
{
	static_call_lazy(hot_hook, value, value * 3, 5, value ^ 9);
	return value + 1;
}

static void check_hot(void)
{
	CHECK(hot_leaf(1) == 2 && hot_likely(1) == 2 && hot_lazy(1) == 2 && last == 0);
	CHECK(static_call_update(hot_hook, see_four) == 0 && hot_lazy(1) == 2 && last == 1000 + 300 + 50 + 8);
	CHECK(static_call_update(hot_hook, NULL) == 0);
	CHECK(static_branch_disable(&on) == 0 && hot_likely(1) == 0 && static_branch_enable(&on) == 0);
}

int main(void)
{
	check_ways(0, 1);
	check_hot();
	check_lazy();
	for (int round = 0; round < 3; round++) {
		static_branch_enable(&off);
		check_ways(1, 1);
		static_branch_disable(&on);
		check_ways(1, 0);
		static_branch_disable(&off);
		check_ways(0, 0);
		static_branch_enable(&on);
		check_ways(0, 1);
	}
	check_batches();
	CHECK(static_branch_dec(&counted) == -34);
	for (int count = 1; count < 4; count++) {
		CHECK(static_branch_inc(&counted) == 0 && static_key_count(&counted) == count);
		CHECK(static_branch_unlikely(&counted));
	}
	CHECK(static_branch_disable(&counted) == -34 && static_key_count(&counted) == 3);
	while (static_key_count(&counted) > 0)
		CHECK(static_branch_dec(&counted) == 0);
	CHECK(!static_branch_unlikely(&counted));
	CHECK(strcmp(off.key.__key.__name, "off") == 0);
	return 0;
}
