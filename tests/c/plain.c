/* A program that is right in every mode, whatever damage its site table has. It prints its mode and the
 * reason. */
#include "check.h"

static int add(int a, int b) { return a + b; }
static int subtract(int a, int b) { return a - b; }
static void count(int *counter) { ++*counter; }
static DEFINE_STATIC_CALL(first, add);
static DEFINE_STATIC_CALL(second, subtract);
static DEFINE_STATIC_CALL_NULL(hook, void(int *));

__attribute__((noinline)) static int tail(int a) { return static_call(second, a, 1); }
__attribute__((noinline)) static int both(int a) { return static_call(first, a, 1) * 1000 + tail(a); }
__attribute__((noinline)) static int hooked(void)
{
	int counter = 0;
	static_call_cond(hook, &counter);
	static_call_cond(hook, &counter);
	return counter;
}

int main(void)
{
	CHECK(both(10) == 11009 && hooked() == 0);
	CHECK(static_call_update(first, subtract) == 0);
	CHECK(both(10) == 9009 && hooked() == 0);
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(second, add),
						STATIC_CALL_CHANGE(hook, count) };
	CHECK(static_call_update_batch(changes, 2) == 0);
	CHECK(both(10) == 9011 && hooked() == 2);
	CHECK(static_call_update_batch(changes, 2) == 0);
	CHECK(both(10) == 9009 && hooked() == 0);
	printf("%s\n", static_call_mode_reason());
	report();
	return 0;
}
