/* i686: functions that pop their own arguments, or take them in registers. */
#include "check.h"

#define FUNCTIONS(name, sign)                                                                   \
	__attribute__((stdcall)) static int stdcall_##name(int a, int b, int c)                 \
	{ return sign * (a + 2 * b + 3 * c); }                                                  \
	__attribute__((stdcall)) static long long wide_##name(int a)                            \
	{ return sign * ((1LL << 40) + a); }                                                    \
	__attribute__((fastcall)) static int fastcall_##name(int a, int b, int c)               \
	{ return sign * (a + 2 * b + 3 * c); }                                                  \
	__attribute__((thiscall)) static int thiscall_##name(int *a, int b, int c)              \
	{ return sign * (*a + 2 * b + 3 * c); }                                                 \
	__attribute__((regparm(1))) static int one_##name(int a, int b, int c)                  \
	{ return sign * (a + 2 * b + 3 * c); }                                                  \
	__attribute__((regparm(3))) static int three_##name(int a, int b, int c)                \
	{ return sign * (a + 2 * b + 3 * c); }
FUNCTIONS(plus, 1)
FUNCTIONS(minus, -1)

#define KINDS(X) X(stdcall) X(wide) X(fastcall) X(thiscall) X(one) X(three)
#define KEY(name) static DEFINE_STATIC_CALL(name, name##_plus);
KINDS(KEY)

static void all(int sign)
{
	for (int i = 0; i < 1000; i++) {
		CHECK(static_call(stdcall, i, 2, 3) == sign * (i + 13));
		CHECK(static_call(wide, i) == sign * ((1LL << 40) + i));
		CHECK(static_call(fastcall, i, 2, 3) == sign * (i + 13));
		CHECK(static_call(thiscall, &i, 2, 3) == sign * (i + 13));
		CHECK(static_call(one, i, 2, 3) == sign * (i + 13));
		CHECK(static_call(three, i, 2, 3) == sign * (i + 13));
	}
}

/* Tail calls, where the convention allows them. */
__attribute__((noinline, stdcall)) static int tail_stdcall(int a, int b, int c)
{
	return static_call(stdcall, a, b, c);
}
__attribute__((noinline, fastcall)) static int tail_fastcall(int a, int b, int c)
{
	return static_call(fastcall, a, b, c);
}

int main(void)
{
	for (int round = 0; round < 2; round++) {
		all(1);
		CHECK(tail_stdcall(1, 2, 3) == 14 && tail_fastcall(1, 2, 3) == 14);
#define MINUS(name) CHECK(static_call_update(name, name##_minus) == 0);
		KINDS(MINUS)
		all(-1);
		CHECK(tail_stdcall(1, 2, 3) == -14 && tail_fastcall(1, 2, 3) == -14);
#define PLUS(name) CHECK(static_call_update(name, name##_plus) == 0);
		KINDS(PLUS)
	}
	report();
	return 0;
}
