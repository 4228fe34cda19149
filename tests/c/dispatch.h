/* What dispatch.c and dispatch_other.c share. */
#ifndef DISPATCH_H
#define DISPATCH_H

#include <static_call.h>

DECLARE_STATIC_CALL(chosen, int(int));
DECLARE_STATIC_CALL(declared, int(int));
int from_the_other_file(int a);

#endif
