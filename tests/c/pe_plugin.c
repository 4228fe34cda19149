/* A DLL that calls another DLL's key, and one of its own. It is loaded and unloaded during updates. */
#include "pe.h"

static int twice(int x) { return 2 * x; }
static DEFINE_STATIC_CALL(own, twice);

__attribute__((dllexport)) int call(int base) { return static_call(own, static_call(shared, base)); }
