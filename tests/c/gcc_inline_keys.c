/* A key for gcc_inline_calls.c. clang compiles this file with the pass, so the trampoline is the pass's. */
#include "check.h"

int plain(int x);
int tail(int x);
int conditional(int x, int is_called);
int loop(int count);
int twice(int x);

static int add_one(int x) { return x + 1; }
static int double_it(int x) { return x * 2; }
DEFINE_STATIC_CALL(step, add_one);

__attribute__((noinline)) static void check_calls(int (*expected)(int))
{
	CHECK(static_call(step, 7) == expected(7));
	CHECK(plain(5) == expected(5) + 1);
	CHECK(tail(6) == expected(6));
	CHECK(conditional(6, 0) == -1 && conditional(6, 1) == expected(6));
	CHECK(loop(3) == expected(0) + expected(1) + expected(2));
	CHECK(twice(9) == expected(expected(9)));
}

int main(void)
{
	check_calls(add_one);
	report();
	CHECK(static_call_update(step, double_it) == 0);
	check_calls(double_it);
	CHECK(static_call_update(step, add_one) == 0);
	check_calls(add_one);
	return 0;
}
