/* Keys of each kind, for compilers without the pass. */
#include "check.h"

int one(int x);
int two(int x);
int call_other(int x);
int update_other(int (*f)(int));

DECLARE_STATIC_CALL(shared, int(int));
