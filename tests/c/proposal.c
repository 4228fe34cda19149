/* The example of the original proposal, unchanged, with identical prototypes. Also compiled as C++. */
#include "check.h"

/* The proposal ignores the result of updates, because the kernel's function returns nothing. */
#pragma GCC diagnostic ignored "-Wunused-result"

int func_a(int arg1, int arg2);
int func_b(int arg1, int arg2);

DEFINE_STATIC_CALL(my_key, func_a);

int main(void)
{
	int arg1 = 6, arg2 = 7;

	CHECK(static_call(my_key, arg1, arg2) == 13);
	static_call(my_key, arg1, arg2);
	static_call_update(my_key, func_b);
	static_call(my_key, arg1, arg2);
	CHECK(static_call(my_key, arg1, arg2) == 42);
	report();
	return 0;
}

int func_a(int arg1, int arg2) { return arg1 + arg2; }
int func_b(int arg1, int arg2) { return arg1 * arg2; }
