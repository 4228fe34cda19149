/* A key that another file calls, and calls of another file's key. */
#include "dispatch.h"

static int plain(int a) { return a + 1; }
static int wide(int a) { return a + 2; }
static int (*choose(void))(int) { return wide; }
DEFINE_STATIC_CALL_DISPATCH(declared, plain, choose);

int from_the_other_file(int a) { return static_call(declared, 1) + static_call(chosen, a); }
