#include "matrix.h"

static DEFINE_STATIC_CALL(own, plain);
DEFINE_STATIC_CALL(shared, plain);

static int call(int value) { return static_call(own, 2, value) + 1; }
static int tail(int value) { return static_call(shared, 3, value); }
static int header(int value) { return in_header(value); }

static int conditional(int value)
{
	if (value > 3)
		return static_call(own, 4, value);
	return value;
}

static DEFINE_STATIC_KEY_FALSE(key);
static __attribute__((noinline)) bool is_on(void) { return static_branch_unlikely(&key); }

const struct file first = {
	{ { call, 1 }, { tail, 0 }, { header, 1 }, { conditional, 0 } },
	{ &STATIC_CALL_KEY(own), &STATIC_CALL_KEY(shared) },
	{ "c", is_on, &key },
};
