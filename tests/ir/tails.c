// Tail calls after epilogues of several lengths, for tests/tests/coff.rs.
#include "static_call.h"

int target(int);
int other(void *);
double floating(double);
DEFINE_STATIC_CALL(key, target);

#define TAIL(n, size)                                      \
	int tail##n(int *p, int a)                         \
	{                                                  \
		int sum = size + a;                        \
		for (int i = 0; i < n % 5; i++)            \
			sum += other(p + i) * size;        \
		return static_call(key, sum);              \
	}
TAIL(11, 100)
TAIL(12, 9)
TAIL(13, 40)
TAIL(14, 2000)
TAIL(16, 8)
TAIL(17, 100)
TAIL(18, 9)

// Registers that are restored before the epilogue.
int saved(double a, double b, int *p)
{
	double c = floating(a);
	other(p);
	double d = floating(b);
	other(p);
	*p = c * d;
	return static_call(key, 7);
}
