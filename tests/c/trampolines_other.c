/* The other file of trampolines.c. */
#include "trampolines.h"

DEFINE_STATIC_CALL(shared, one);
static DEFINE_STATIC_CALL(own, one);

int call_other(int x) { return static_call(own, x) * 10 + static_call(shared, x); }
int update_other(int (*f)(int)) { return static_call_update(own, f); }
