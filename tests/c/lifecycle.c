/* Calls and updates before main and after it: in constructors of every priority, exit handlers and
 * destructors. */
#include "check.h"

static int zero(void) { return 0; }
static int one(void) { return 1; }
static int two(void) { return 2; }
static int three(void) { return 3; }
static DEFINE_STATIC_CALL(stage, zero);
static DEFINE_STATIC_CALL(early, zero);
static int before_registration, failed;

static void expect(int value)
{
	if (static_call(stage) != value)
		failed = 1;
}

/* The registration has priority 101; 1 to 100 come before it. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wprio-ctor-dtor"
#endif
__attribute__((constructor(100))) static void first(void)
{
	expect(0);
	before_registration =
		static_call(early) == 0 && static_call_update(early, one) == 0 && static_call(early) == 1;
}
__attribute__((constructor(102))) static void second(void)
{
	expect(0);
	if (static_call_update(stage, one) != 0)
		failed = 1;
	expect(1);
}
__attribute__((constructor)) static void third(void) { expect(1); }

static void at_exit(void)
{
	expect(2);
	CHECK(static_call_update(stage, three) == 0);
	expect(3);
}
__attribute__((destructor)) static void last(void)
{
	expect(3);
	CHECK(static_call_update(stage, one) == 0);
	expect(1);
}
__attribute__((destructor(102))) static void still_later(void)
{
	expect(1);
	CHECK(static_call_update(stage, two) == 0);
	expect(2);
}
/* After the image's own destructor. Calls still follow updates, because the whole process ends. */
__attribute__((destructor(100))) static void very_last(void)
{
	expect(2);
	CHECK(static_call_update(stage, three) == 0);
	expect(3);
	CHECK(!failed);
	report();
}

int main(void)
{
	CHECK(before_registration && static_call(early) == 1);
	expect(1);
	CHECK(static_call_update(stage, two) == 0);
	expect(2);
	CHECK(atexit(at_exit) == 0);
	return 0;
}
