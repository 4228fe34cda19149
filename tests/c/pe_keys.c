/* A DLL that defines a key and its targets. */
#define PE_DEFINES
#include "pe.h"

#define TARGET(number) __attribute__((noinline)) int target##number(int base) { return base + number; }
FOR_EACH_TARGET(TARGET)

#define POINTER(number) target##number,
const target targets[TARGETS] = { FOR_EACH_TARGET(POINTER) };
DEFINE_STATIC_CALL(shared, target0);
