/* An image that is registered twice: link-time optimization may leave two descriptors of the same tables
 * in it. */
#include "check.h"

void register_again(void);

static int one(int a) { return a + 1; }
static int two(int a) { return a + 2; }
static DEFINE_STATIC_CALL(key, one);

int main(void)
{
	register_again();
	CHECK(static_call(key, 1) == 2);
	CHECK(static_call_update(key, two) == 0);
	CHECK(static_call(key, 1) == 3);
	report();
	return 0;
}
