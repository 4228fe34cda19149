/* The calls in C, and a branch. */
#include <static_branch.h>
#include <stdbool.h>

typedef uint64_t target(uint32_t call, uint64_t value);
DECLARE_STATIC_CALL(KEY_OF_C, target);

uint64_t call_in_c(uint64_t value) { return static_call(KEY_OF_C, 15, value) + 1; }
uint64_t tail_call_in_c(uint64_t value) { return static_call(KEY_OF_C, 16, value); }

static DEFINE_STATIC_KEY_FALSE(key);

__attribute__((noinline)) bool is_branch_in_c_on(void) { return static_branch_unlikely(&key); }
bool switch_branch_in_c(bool on)
{
	return (on ? static_branch_enable(&key) : static_branch_disable(&key)) == 0;
}
void store_to_branch_in_c(bool on)
{
	__atomic_store_n(&key.key.__key.__target, (__static_call_function *)(intptr_t)on, __ATOMIC_RELAXED);
}
