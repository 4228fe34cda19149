/* The last function of the image ends in a tail call, and the call's word reaches beyond the segment. */
#include "check.h"

int one(int x);
DECLARE_STATIC_CALL(key, one);

int first(int x);
int last(int x);
int change(void);
#ifdef LIBRARY
int one(int x) { return x + 1; }
DEFINE_STATIC_CALL(key, one);
int first(int x) { return static_call(key, x) * 2; }
static int two(int x) { return x + 2; }
int change(void) { return static_call_update(key, two); }
#elif defined LAST
int last(int x) { return static_call(key, x); }
#else
int main(void)
{
	CHECK(first(1) == 4 && last(1) == 2);
	CHECK(change() == 0);
	CHECK(first(1) == 6 && last(1) == 3);
	report();
	return 0;
}
#endif
