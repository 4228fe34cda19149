// Code with calls, tail calls and final calls that repeats often enough to be outlined, for
// tests/tests/machine.rs.
#include "static_call.h"

int target(int x);
int other(int x);
int three(int a, int b, int c);
extern int words[8];
DEFINE_STATIC_CALL(key, target);

#define REPEATED(n)                                       \
	int first##n(int x)                               \
	{                                                 \
		int r = three(x * 3, x + 7, x ^ 9);       \
		r += other(r * 5 + n);                    \
		r ^= static_call(key, three(77, 88, 99)); \
		other(r);                                 \
		return r;                                 \
	}                                                 \
	int second##n(int x)                              \
	{                                                 \
		if (x > n)                                \
			other(n);                         \
		three(x * 3 + 11, x + 7, 42);             \
		return static_call(key, 1234567);         \
	}                                                 \
	int fourth##n(int x)                              \
	{                                                 \
		words[1] = x * 3;                         \
		words[2] = x + 7;                         \
		words[3] = x ^ 9;                         \
		words[4] = x * 5;                         \
		words[5] = x - 11;                        \
		words[6] = x & 13;                        \
		return static_call(key, words[n & 7]);    \
	}                                                 \
	void third##n(int x)                              \
	{                                                 \
		other(n);                                 \
		three(11, 12, x);                         \
		static_call(key, 7654321);                \
		other(1);                                 \
	}

REPEATED(1)
REPEATED(2)
REPEATED(3)
REPEATED(4)
REPEATED(5)
REPEATED(6)
REPEATED(7)
REPEATED(8)
