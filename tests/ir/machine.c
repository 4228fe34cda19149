// Every kind of site, for tests/tests/machine.rs. It is compiled and linked, not run.
#include "static_call.h"
#include <stdbool.h>

struct large {
	long words[5];
};

int external(int);
static int local(int x) { return x + 1; }
static int with_bool(bool a, signed char b, _Bool c) { return a + b + c; }
static struct large by_value(struct large a) { return a; }
static long many(long a, long b, long c, long d, long e, long f, long g, long h)
{
	return a + h + b + c + d + e + f + g;
}
static int variadic(int n, ...) { return n; }
static long double wide(long double x) { return x; }
static void nothing(long x) { (void)x; }

DEFINE_STATIC_CALL(external_key, external);
static DEFINE_STATIC_CALL(local_key, local);
static DEFINE_STATIC_CALL(bool_key, with_bool);
static DEFINE_STATIC_CALL(by_value_key, by_value);
static DEFINE_STATIC_CALL(many_key, many);
static DEFINE_STATIC_CALL(variadic_key, variadic);
static DEFINE_STATIC_CALL(wide_key, wide);
DEFINE_STATIC_CALL(nothing_key, nothing);
DECLARE_STATIC_CALL(elsewhere_key, external);

int call(int x)
{
	return static_call(external_key, x) + static_call(local_key, x) + static_call(elsewhere_key, x);
}
int call_bool(int x) { return static_call(bool_key, x & 1, (signed char)x, x & 2) + 1; }
long call_large(struct large *p) { return static_call(by_value_key, *p).words[1]; }
long call_many(long x) { return static_call(many_key, x, x, x, x, x, x, x, x) + 1; }
int call_variadic(double d) { return static_call(variadic_key, 1, d, 2L) + 1; }
long double call_wide(long double x) { return static_call(wide_key, x) + 1; }

// A jump, if the optimizer makes tail calls.
int tail(int x) { return static_call(external_key, x); }
// A conditional jump, if the optimizer also saves bytes.
void conditional(long x, long y)
{
	if (x < y)
		static_call(nothing_key, x);
}
int conditional_result(int x)
{
	if (x < 3)
		return static_call(local_key, x);
	return x;
}
