#include "shared.h"

int in_program(int a) { return a + 1; }
static int other(int a) { return a + 2; }
static void hook(int *hooked) { *hooked = 7; }
EXPORT DEFINE_STATIC_CALL(program_key, in_program);

/* Not copied, so that the number of sites is known. */
__attribute__((noinline)) static void all(long expected)
{
	CHECK(call_all(10) == expected);
	CHECK(call_from_left(10) == expected);
	CHECK(call_from_right(10) == expected);
}

int main(void)
{
	all(11100000);
	CHECK(static_call_update(program_key, other) == 0);
	all(12100000);
	CHECK(static_call_update(left_key, other) == 0);
	all(12012000);
	CHECK(static_call_update(right_hook, hook) == 0);
	all(12012007);
	CHECK(update_from_left() == 0);
	all(110110000);
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(program_key, in_program),
						STATIC_CALL_CHANGE(left_key, in_left),
						STATIC_CALL_CHANGE(right_hook, hook) };
	CHECK(static_call_update_batch(changes, 3) == 0);
	all(11100007);

	/* Static keys with the same name, one in each shared object. */
	CHECK(own_key_of_left(0) == 1 && own_key_of_right(0) == 2);
	CHECK(own_key_of_left(1) == 10 && own_key_of_right(0) == 2);
	CHECK(own_key_of_right(1) == 20 && own_key_of_left(0) == 10);

	struct static_call_info info;
	static_call_key_info(program_key, &info);
	CHECK(info.keys == info.images);
	/* Without the pass no call is recorded. */
	CHECK(info.sites == 0 || (info.images == 3 && info.sites == 3));
	report();
	return 0;
}
