#include "shared.h"

static int two(void) { return 2; }
static int twenty(void) { return 20; }
EXPORT DEFINE_STATIC_CALL_NULL(right_hook, void(int *));
static DEFINE_STATIC_CALL(own, two);

long call_from_right(int a) { return call_all(a); }
int own_key_of_right(int update)
{
	if (update)
		CHECK(static_call_update(own, twenty) == 0);
	return static_call(own);
}
