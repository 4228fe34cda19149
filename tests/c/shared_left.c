#include "shared.h"

static int far_away(int a) { return a * 11; }
static int one(void) { return 1; }
static int ten(void) { return 10; }
EXPORT int in_left(int a) { return a * 10; }
EXPORT DEFINE_STATIC_CALL(left_key, in_left);
static DEFINE_STATIC_CALL(own, one);

long call_from_left(int a) { return call_all(a); }
int own_key_of_left(int update)
{
	if (update)
		CHECK(static_call_update(own, ten) == 0);
	return static_call(own);
}
int update_from_left(void)
{
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(program_key, far_away),
						STATIC_CALL_CHANGE(left_key, far_away),
						STATIC_CALL_CHANGE(right_hook, NULL) };
	return static_call_update_batch(changes, 3);
}
