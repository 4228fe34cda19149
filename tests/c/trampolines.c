/* The targets that calls through the header's trampolines reach. Both files have a static key of the same
   name. */
#include "trampolines.h"

__attribute__((noinline)) int one(int x) { return x + 1; }
__attribute__((noinline)) int two(int x) { return x + 2; }

static DEFINE_STATIC_CALL(own, one);
DEFINE_STATIC_CALL(open, one);
static DEFINE_STATIC_CALL_NULL(hook, one);
static DEFINE_STATIC_CALL_RET0(zero, one);

__attribute__((noinline)) static int call_all(int x)
{
	static_call_cond(hook, x);
	return static_call(own, x) * 1000 + static_call(open, x) * 100 + static_call(shared, x) * 10 +
	       static_call(zero, x);
}
__attribute__((noinline)) static int tail(int x) { return static_call(own, x); }

int main(void)
{
	CHECK(call_all(1) == 2220 && call_other(1) == 22 && tail(1) == 2);
	CHECK(static_call_update(own, two) == 0);
	CHECK(call_all(1) == 3220 && call_other(1) == 22 && tail(1) == 3);
	CHECK(update_other(two) == 0);
	CHECK(call_all(1) == 3220 && call_other(1) == 32 && tail(1) == 3);
	CHECK(static_call_update(shared, two) == 0 && static_call_update(open, two) == 0);
	CHECK(static_call_update(zero, two) == 0 && static_call_update(hook, two) == 0);
	CHECK(call_all(1) == 3333 && call_other(1) == 33);
	CHECK(static_call_update(own, one) == 0 && static_call_update_ret0(zero) == 0);
	CHECK(call_all(1) == 2330 && call_other(1) == 33 && tail(1) == 2);
	report();
	return 0;
}
