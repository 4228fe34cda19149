/* NULL, RET0, queries, and updates that are refused. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"

struct wide {
	long a[5];
};

static long seen;
static int evaluated;

static int argument(int value)
{
	evaluated++;
	return value;
}
static void observe(int a) { seen += a; }
static void many(int a, int b, int c, int d, int e, int f, long g, struct wide w, double x, const char *text)
{
	seen += a + b + c + d + e + f + g + w.a[4] + (long)x + (long)strlen(text);
}
static int with_result(int a) { return a; }
void never_defined(int a);

static DEFINE_STATIC_CALL_NULL(hook, observe);
static DEFINE_STATIC_CALL_NULL(hook_of_many, many);
static DEFINE_STATIC_CALL_NULL(hook_with_result, with_result);
static DEFINE_STATIC_CALL_NULL(hook_declared_only, never_defined);
static DEFINE_STATIC_CALL_NULL(hook_as_value, never_defined);
static DEFINE_STATIC_CALL_RET0(zero_as_value, with_result);
DEFINE_STATIC_CALL(always, with_result);
static DEFINE_STATIC_CALL_COND(begins_on, observe);
static DEFINE_STATIC_CALL_COND(result_begins_on, with_result);

static void null_keys(void)
{
	struct wide w = { { 0, 0, 0, 0, 1000 } };
	for (int round = 0; round < 2; round++) {
		seen = evaluated = 0;
		static_call_cond(hook, argument(1));
		static_call_cond(hook_of_many, 1, 2, 3, 4, 5, 6, 7, w, argument(8), "text");
		static_call_cond(hook_with_result, argument(1));
		static_call_cond(hook_declared_only, argument(1));
		CHECK(seen == 0 && evaluated == 4);
		CHECK(!static_call_query(hook) && !static_call_query(hook_of_many));

		CHECK(static_call_update(hook, observe) == 0);
		CHECK(static_call_update(hook_of_many, many) == 0);
		CHECK(static_call_query(hook) == observe && static_call_query(hook_of_many) == many);
		static_call_cond(hook, argument(1));
		CHECK(seen == 1);
		static_call_cond(hook_of_many, 1, 2, 3, 4, 5, 6, 7, w, argument(8), "text");
		CHECK(seen == 1 + 28 + 1000 + 8 + 4);
		CHECK(static_call_update(hook, NULL) == 0);
		CHECK(static_call_update(hook_of_many, NULL) == 0);
	}
}

/* Keys that begin with a function. */
static void conditional_keys(void)
{
	seen = evaluated = 0;
	for (int round = 0; round < 2; round++) {
		CHECK(static_call_query(begins_on) == observe && static_call_query(result_begins_on));
		static_call_cond(begins_on, argument(1));
		static_call_cond(result_begins_on, argument(1));
		CHECK(seen == 1 && evaluated == 2);
		CHECK(static_call_update(begins_on, NULL) == 0 && !static_call_query(begins_on));
		CHECK(static_call_update(result_begins_on, NULL) == 0);
		static_call_cond(begins_on, argument(1));
		static_call_cond(result_begins_on, argument(1));
		CHECK(seen == 1 && evaluated == 4);
		CHECK(static_call_update(begins_on, observe) == 0);
		CHECK(static_call_update(result_begins_on, with_result) == 0);
		seen = evaluated = 0;
	}
}

/* The compiler may know what these keys contain, because they are never updated. With the pass, these uses
 * are loads too. */
static void values(void)
{
	void (*hook_target)(int) = static_call_fn(hook_as_value);
	int (*zero_target)(int) = static_call_fn(zero_as_value);

	evaluated = 0;
	for (int i = 0; i < 2; i++) {
		hook_target(argument(i));
		CHECK(zero_target(argument(i)) == 0);
	}
	CHECK(evaluated == 4);
}

/* Tail calls of a key that is NULL: a jump that becomes a return, and a conditional jump. */
__attribute__((noinline)) static void tail(int a) { static_call_cond(hook, a); }
__attribute__((noinline)) static void conditional_tail(int a)
{
	if (a > 3)
		static_call_cond(hook, a);
}

static void tails(void)
{
	for (int round = 0; round < 2; round++) {
		seen = 0;
		tail(5);
		conditional_tail(5);
		conditional_tail(1);
		CHECK(seen == 0);
		CHECK(static_call_update(hook, observe) == 0);
		tail(5);
		conditional_tail(5);
		conditional_tail(1);
		CHECK(seen == 10);
		CHECK(static_call_update(hook, NULL) == 0);
	}
}

/* A hook that preserves nearly all registers. The values that its callers keep there must survive, whether
 * and however the hook is called. */
static PRESERVE_MOST void observe_aside(long a) { seen += a; }
PRESERVE_MOST void never_defined_aside(int a);
static DEFINE_STATIC_CALL_NULL(hook_aside, observe_aside);
static DEFINE_STATIC_CALL_NULL(hook_never_updated, never_defined_aside);

__attribute__((noinline)) static uint64_t
keep(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
	/* Volatile: with a lost counter the loop would not end. */
	for (volatile int i = 0; i < 100; i++) {
		static_call_cond(hook_aside, i);
		a += b ^ (uint64_t)i, b += c, c += d, d += e, e += f, f += g, g += h, h += a;
	}
	return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}

static void preserved(void)
{
	const uint64_t kept = UINT64_C(13445993451026955351);

	seen = evaluated = 0;
	static_call_cond(hook_never_updated, argument(1));
	CHECK(evaluated == 1);
	CHECK(keep(1, 2, 3, 4, 5, 6, 7, 8) == kept && seen == 0);
	CHECK(static_call_update(hook_aside, observe_aside) == 0);
	CHECK(keep(1, 2, 3, 4, 5, 6, 7, 8) == kept && seen == 4950);
	CHECK(static_call_update(hook_aside, NULL) == 0);
	CHECK(keep(1, 2, 3, 4, 5, 6, 7, 8) == kept && seen == 4950);
}

/* Results as wide as a register and narrower ones, whose upper bits are undefined. */
#define RESULTS(X)                                                                                  \
	X(bool, bool_) X(char, char_) X(signed char, schar) X(short, short_) X(unsigned short, ushort)  \
	X(int, int_) X(unsigned, unsigned_) X(long, long_) X(unsigned long long, ull) X(void *, pointer_) \
	X(const char *, string)

#define FUNCTION(type, name)                                                                        \
	static type get_##name(intptr_t a) { return (type)(a | 1); }                                 \
	static DEFINE_STATIC_CALL_RET0(key_##name, get_##name);                                      \
	__attribute__((noinline)) static type tail_##name(intptr_t a)                                  \
	{                                                                                           \
		return static_call(key_##name, a);                                                   \
	}
RESULTS(FUNCTION)

#define ZERO(type, name)                                                                            \
	CHECK(static_call(key_##name, argument(3)) == (type)0);                                      \
	CHECK(tail_##name(3) == (type)0);                                                            \
	CHECK(static_call_query(key_##name) != NULL);
#define SET(type, name) CHECK(static_call_update(key_##name, get_##name) == 0);
#define GET(type, name)                                                                             \
	CHECK(static_call(key_##name, argument(3)) == (type)3);                                      \
	CHECK(tail_##name(3) == (type)3);                                                            \
	CHECK(static_call_query(key_##name) == get_##name);
#define RESET(type, name)                                                                           \
	CHECK(static_call_update_ret0(key_##name) == 0);                                             \
	CHECK(static_call_update(key_##name, NULL) == -EINVAL);

static void refused(void)
{
	CHECK(static_call_update(always, NULL) == -EINVAL);
	CHECK(static_call_update_ret0(always) == -EINVAL);
	CHECK(static_call_update_ret0(hook) == -EINVAL);
	CHECK(static_call(always, 4) == 4 && static_call_query(always) == with_result);
}

int main(void)
{
	null_keys();
	conditional_keys();
	values();
	tails();
	preserved();
	for (int round = 0; round < 2; round++) {
		RESULTS(ZERO)
		RESULTS(SET)
		RESULTS(GET)
		RESULTS(RESET)
	}
	RESULTS(ZERO)
	refused();
	report();
	return 0;
}
