/* The layout where pointers have 32 bits: compiled only, without a C library. */
#include <static_call.h>

_Static_assert(sizeof(void *) == 4, "for -m32");
_Static_assert(sizeof(struct static_call_key) == 4 * sizeof(void *) + 2 * sizeof(uint32_t), "no padding");
_Static_assert(offsetof(struct static_call_key, target) == 0, "the generic implementation loads it");
_Static_assert(offsetof(struct static_call_key, off) == 8 && offsetof(struct static_call_key, form) == 16, "");
_Static_assert(sizeof(struct static_call_change) == 12 && offsetof(struct static_call_change, form) == 8, "");
_Static_assert(sizeof(struct static_call_info) == 5 * sizeof(size_t), "");

int one(int a);
DEFINE_STATIC_CALL(key, one);
int call(int a);
int call(int a) { return static_call(key, a); }
