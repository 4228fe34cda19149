/* See guarded.c. All functions but one have landing pads. */
#include "static_call.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
DEFINE_STATIC_CALL(key, one);

int call(int x) { return static_call(key, x); }

int update(void) { return static_call_update(key, two); }

int without(void);
__asm__(".text\n.type without, @function\nwithout: ret\n");

int enter_without_a_landing_pad(void)
{
	int (*volatile function)(void) = without;

	return function() + 1;
}
