/* The C half of the mixed program: Rust calls and updates its key, and it calls and updates Rust's key. */
#include <static_branch.h>

int c_plus_one(int value) { return value + 1; }
int c_plus_two(int value) { return value + 2; }

DEFINE_STATIC_CALL(c_key, c_plus_one);
void c_hook_type(int value);
DEFINE_STATIC_CALL_NULL(c_hook, c_hook_type);

int rust_function_type(int value);
DECLARE_STATIC_CALL(RUST_KEY, rust_function_type);

int c_calls_c_key(int value) { return static_call(c_key, value); }
int c_calls_rust_key(int value) { return static_call(RUST_KEY, value); }
void c_calls_hook(int value) { static_call_cond(c_hook, value); }

int c_times_ten(int value) { return value * 10; }
int c_updates_rust_key(void) { return static_call_update(RUST_KEY, c_times_ten); }
int c_updates_c_key(void) { return static_call_update(c_key, c_plus_two); }
int c_refuses_null(void) { return static_call_update(RUST_KEY, NULL); }

DEFINE_STATIC_KEY_TRUE(c_checked);
DECLARE_STATIC_KEY_FALSE(RUST_TRACED);

int c_is_checked(void) { return static_branch_likely(&c_checked); }
int c_is_traced(void) { return static_branch_unlikely(&RUST_TRACED); }
int c_enables_rusts(void) { return static_branch_enable(&RUST_TRACED); }
