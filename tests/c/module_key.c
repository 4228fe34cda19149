#include "module_key.h"

int in_c(int a) { return a + 1000; }
DEFINE_STATIC_CALL(key_of_c, in_c);
