/* The layout with pointers of 32 bits. Only compiled, without a C library. */
#include <static_call.h>

_Static_assert(sizeof(void *) == 4, "for -m32");
_Static_assert(sizeof(struct static_call_key) == 4 * sizeof(void *) + 2 * sizeof(uint32_t), "no padding");
_Static_assert(offsetof(struct static_call_key, __target) == 0, "the generic implementation loads it");
_Static_assert(offsetof(struct static_call_key, __off) == 8 && offsetof(struct static_call_key, __form) == 16,
	       "");
_Static_assert(sizeof(struct static_call_change) == 16 && offsetof(struct static_call_change, __form) == 8,
	       "");
_Static_assert(sizeof(struct static_call_info) == 7 * sizeof(size_t), "");

int one(int a);
DEFINE_STATIC_CALL(key, one);
int call(int a);
int call(int a) { return static_call(key, a); }
