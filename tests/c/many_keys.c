/* Updates as many keys as the argument says in one batch. tests/instructions.rs counts the instructions
 * with callgrind. */
#include "check.h"

#define MOST 4000

static int one(int a) { return a + 1; }
static int two(int a) { return a + 2; }
static struct static_call_key keys[MOST] = { [0 ... MOST - 1] = STATIC_CALL_INIT(one) };
static struct static_call_change changes[MOST];

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	const int count = atoi(argv[1]);
	CHECK(count > 0 && count <= MOST);
	for (int i = 0; i < count; i++) {
		struct static_call_change change = STATIC_CALL_CHANGE_AT(one, &keys[i], two);
		changes[i] = change;
	}
	CHECK(static_call_update_batch(changes, count) == 0);
	for (int i = 0; i < MOST; i++)
		CHECK(static_call_at(one, &keys[i], 1) == (i < count ? 3 : 2));
	return 0;
}
