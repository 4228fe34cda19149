/* A file of the same program that checks no types. */
#include <static_call.h>

typedef int binary(int, int);
DECLARE_STATIC_CALL(key, binary);
int call_elsewhere(int a, int b);

int call_elsewhere(int a, int b) { return static_call(key, a, b) + 3; }
