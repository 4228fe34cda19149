/* The calls in C. */
#include <static_call.h>

typedef uint64_t target(uint32_t call, uint64_t value);
DECLARE_STATIC_CALL(KEY_OF_C, target);

uint64_t call_in_c(uint64_t value) { return static_call(KEY_OF_C, 15, value) + 1; }
uint64_t tail_call_in_c(uint64_t value) { return static_call(KEY_OF_C, 16, value); }
