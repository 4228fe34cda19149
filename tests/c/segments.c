/* Code in several executable segments: linker flags put another section into a segment of its own
 * (tests/tests/c_segments.rs). */
#include "check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static void count(int *counter) { ++*counter; }
static DEFINE_STATIC_CALL(key, one);
static DEFINE_STATIC_CALL_NULL(hook, count);

#define HOT __attribute__((noinline, section(".hot_text")))

__attribute__((noinline)) static int normal(int x)
{
	static_call_cond(hook, &x);
	return static_call(key, x) * 2;
}
HOT static int hot(int x)
{
	static_call_cond(hook, &x);
	return static_call(key, x) * 3;
}
HOT static int tail(int x) { return static_call(key, x); }

int main(void)
{
	CHECK(normal(1) == 4 && hot(1) == 6 && tail(1) == 2);
	for (int round = 0; round < 3; round++) {
		struct static_call_change changes[] = { STATIC_CALL_CHANGE(key, two),
							STATIC_CALL_CHANGE(hook, count) };
		CHECK(static_call_update_batch(changes, 2) == 0);
		CHECK(normal(1) == 8 && hot(1) == 12 && tail(1) == 3);
		CHECK(static_call_update_batch(changes, 2) == 0);
		CHECK(normal(1) == 4 && hot(1) == 6 && tail(1) == 2);
	}
	report();
	return 0;
}
