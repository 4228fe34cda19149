/* Keys whose symbols need quotes in assembler: names with non-ASCII letters or `$`, and keys in an array. */
#include "check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }

DEFINE_STATIC_CALL(ключ, one);
static DEFINE_STATIC_CALL(clé, one);
DEFINE_STATIC_CALL(a$b, two);
DEFINE_STATIC_CALL(a_b, one);
static struct static_call_key table[2] = { STATIC_CALL_INIT(one), STATIC_CALL_INIT(two) };

int main(void)
{
	CHECK(static_call(ключ, 1) == 2);
	CHECK(static_call(clé, 1) == 2);
	CHECK(static_call(a$b, 1) == 3);
	CHECK(static_call(a_b, 1) == 2);
	CHECK(static_call_at(one, &table[0], 1) == 2);
	CHECK(static_call_at(one, &table[1], 1) == 3);
	CHECK(static_call_update(ключ, two) == 0);
	CHECK(static_call_update(a$b, one) == 0);
	CHECK(static_call_update_at(one, &table[1], one) == 0);
	CHECK(static_call(ключ, 1) == 3);
	CHECK(static_call(clé, 1) == 2);
	CHECK(static_call(a$b, 1) == 2);
	CHECK(static_call(a_b, 1) == 2);
	CHECK(static_call_at(one, &table[0], 1) == 2);
	CHECK(static_call_at(one, &table[1], 1) == 2);
	report();
	return 0;
}
