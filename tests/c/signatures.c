/* Arguments and results of every kind pass unchanged through sites and trampolines. */
#include <complex.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

struct pair {
	long a, b;
};
struct mixed {
	double x;
	int y;
};
struct large {
	long a[9];
};
struct tiny {
	char c;
};
union number {
	double d;
	uint64_t u;
};
typedef float vector __attribute__((vector_size(16)));

/* Each function exists twice; `sign` tells which one was called. */
#define TWICE(X) X(plus, 1) X(minus, -1)
#define FUNCTIONS(name, sign)                                                                       \
	static long ten_##name(char a, short b, int c, long d, unsigned char e, int f, long g,       \
			       signed char h, long i, _Bool j)                                        \
	{                                                                                            \
		return sign * (a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8 + i * 9 + j * 10); \
	}                                                                                            \
	static struct pair pair_##name(struct pair p, struct tiny t)                                 \
	{                                                                                            \
		return (struct pair){ sign * p.b, sign * (p.a + t.c) };                               \
	}                                                                                            \
	static struct mixed mixed_##name(struct mixed m) { return (struct mixed){ sign * m.y, (int)m.x }; } \
	static struct large large_##name(struct large l, int i)                                      \
	{                                                                                            \
		l.a[i] = sign * l.a[8];                                                               \
		return l;                                                                             \
	}                                                                                            \
	static union number number_##name(union number n)                                            \
	{                                                                                            \
		n.d *= sign;                                                                          \
		return n;                                                                             \
	}                                                                                            \
	static float float_##name(float a, double b) { return sign * (a + (float)b); }               \
	static double doubles_##name(double a, double b, double c, double d, double e, double f,     \
				     double g, double h, double i, double j)                          \
	{                                                                                            \
		return sign * (a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j); \
	}                                                                                            \
	static long double long_double_##name(long double a, int b) { return sign * (a + b); }       \
	static double _Complex complex_##name(double _Complex a) { return sign * a; }                \
	static vector vector_##name(vector a, vector b) { return (float)sign * (a + b); }            \
	static int sum_##name(int count, ...)                                                        \
	{                                                                                            \
		va_list list;                                                                         \
		va_start(list, count);                                                                \
		double sum = 0;                                                                       \
		for (int i = 0; i < count; i++)                                                       \
			sum += i % 2 ? va_arg(list, double) : va_arg(list, int);                      \
		va_end(list);                                                                         \
		return sign * (int)sum;                                                               \
	}                                                                                            \
	__attribute__((format(printf, 2, 3))) static int print_##name(char *text, const char *format, ...) \
	{                                                                                            \
		va_list list;                                                                         \
		va_start(list, format);                                                               \
		int length = vsnprintf(text, 64, format, list);                                       \
		va_end(list);                                                                         \
		return sign * length;                                                                 \
	}
TWICE(FUNCTIONS)

#define KINDS(X)                                                                                    \
	X(ten) X(pair) X(mixed) X(large) X(number) X(float) X(doubles) X(long_double) X(complex) X(vector) \
	X(sum) X(print)
#define KEY(name) static DEFINE_STATIC_CALL(name, name##_plus);
KINDS(KEY)

static void all(int sign)
{
	CHECK(static_call(ten, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1) == sign * 295);
	struct pair p = static_call(pair, ((struct pair){ 1, 2 }), ((struct tiny){ 3 }));
	CHECK(p.a == sign * 2 && p.b == sign * 4);
	struct mixed m = static_call(mixed, ((struct mixed){ 1.5, 2 }));
	CHECK(m.x == sign * 2 && m.y == 1);
	struct large l = static_call(large, ((struct large){ { 1, 2, 3, 4, 5, 6, 7, 8, 9 } }), 4);
	CHECK(l.a[4] == sign * 9 && l.a[3] == 4 && l.a[8] == 9);
	CHECK(static_call(number, ((union number){ .d = 2.5 })).d == sign * 2.5);
	CHECK(static_call(float, 1.5f, 2.0) == (float)sign * 3.5f);
	CHECK(static_call(doubles, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == sign * 385);
	CHECK(static_call(long_double, 1.25L, 2) == sign * 3.25L);
	double _Complex c = static_call(complex, 1 + 2 * I);
	CHECK(creal(c) == sign && cimag(c) == sign * 2);
	vector v = static_call(vector, ((vector){ 1, 2, 3, 4 }), ((vector){ 1, 1, 1, 1 }));
	CHECK(v[0] == (float)sign * 2 && v[3] == (float)sign * 5);
	CHECK(static_call(sum, 0) == 0);
	CHECK(static_call(sum, 4, 1, 2.0, 3, 4.0) == sign * 10);
	CHECK(static_call(sum, 9, 1, 1.0, 1, 1.0, 1, 1.0, 1, 1.0, 1) == sign * 9);
	char text[64];
	CHECK(static_call(print, text, "%d %s %.1f", 7, "seven", 7.0) == sign * 11);
	CHECK(strcmp(text, "7 seven 7.0") == 0);
}

/* Tail calls, with their arguments on the stack too. */
__attribute__((noinline)) static struct large tail_large(struct large l, int i)
{
	return static_call(large, l, i);
}
__attribute__((noinline)) static long double tail_long_double(long double a, int b)
{
	return static_call(long_double, a, b);
}
__attribute__((noinline)) static double tail_doubles(double a, double b, double c, double d, double e,
						     double f, double g, double h, double i, double j)
{
	return static_call(doubles, a, b, c, d, e, f, g, h, i, j);
}

int main(void)
{
	for (int round = 0; round < 2; round++) {
		all(1);
		CHECK(tail_long_double(1, 2) == 3);
		CHECK(tail_doubles(1, 0, 0, 0, 0, 0, 0, 0, 0, 1) == 11);
		CHECK(tail_large((struct large){ { 0, 1, 2, 3, 4, 5, 6, 7, 8 } }, 1).a[1] == 8);
#define MINUS(name) CHECK(static_call_update(name, name##_minus) == 0);
		KINDS(MINUS)
		all(-1);
		CHECK(tail_long_double(1, 2) == -3);
		CHECK(tail_doubles(1, 0, 0, 0, 0, 0, 0, 0, 0, 1) == -11);
		CHECK(tail_large((struct large){ { 0, 1, 2, 3, 4, 5, 6, 7, 8 } }, 1).a[1] == -8);
#define PLUS(name) CHECK(static_call_update(name, name##_plus) == 0);
		KINDS(PLUS)
	}
	report();
	return 0;
}
