#include "two_files.h"

static int mine(int a) { return a + 1; }
static int other(int a) { return a + 2; }
static DEFINE_STATIC_CALL(own, mine);
DEFINE_STATIC_CALL(shared, shared_default);

int main(void)
{
	CHECK(static_call(own, 1) * 1000000 + call_from_other_file(1) == 2101101);
	CHECK(static_call(shared, 1) == 101);
	CHECK(static_call_update(own, other) == 0);
	CHECK(static_call(own, 1) * 1000000 + call_from_other_file(1) == 3101101);
	CHECK(static_call_update(shared, mine) == 0);
	CHECK(static_call(shared, 1) == 2 && call_from_other_file(1) == 101002);
	CHECK(update_other_files_own() == 0);
	CHECK(static_call(own, 1) == 3 && call_from_other_file(1) == 1002);
	report();
	return 0;
}
