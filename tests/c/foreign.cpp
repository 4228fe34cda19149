// Targets in another image. After they return or throw, the registers that the caller's image needs are
// restored, and backtraces continue after the call.
#include <stdexcept>

#include "check.h"

extern "C" int foreign(int a);
extern "C" int frames(int a);

static int global = 100, left;

static int local(int a)
{
	if (a < 0)
		throw a;
	return a + 1;
}
DEFINE_STATIC_CALL(key, local);

struct Frame {
	~Frame() { left++; }
};

// No handler.
__attribute__((noinline)) static int plain(int a) { return static_call(key, a) + global; }
// A cleanup.
__attribute__((noinline)) static int cleaned(int a)
{
	Frame frame;
	return static_call(key, a) + global;
}
// A handler.
__attribute__((noinline)) static int handled(int a)
{
	try {
		return static_call(key, a) + global;
	} catch (...) {
		return -global;
	}
}
// A handler, but not around the call.
__attribute__((noinline)) static int beside(int a)
{
	try {
		if (a == 1)
			throw a;
	} catch (int) {
		left++;
	}
	return static_call(key, a) + global;
}

static int caught(int (*call)(int), int a)
{
	try {
		return call(a);
	} catch (int) {
		return global + 1;
	} catch (const std::runtime_error &) {
		return global + 2;
	}
}

int main()
{
	int (*const calls[])(int) = { plain, cleaned, beside };
	for (int round = 0; round < 4; round++) {
		const bool is_foreign = round % 2;
		CHECK(static_call_update(key, is_foreign ? foreign : local) == 0);
		left = 0;
		for (auto call : calls) {
			CHECK(caught(call, 10) == (is_foreign ? 115 : 111));
			CHECK(caught(call, -10) == (is_foreign ? 102 : 101));
		}
		CHECK(left == 2);
		CHECK(caught(beside, 1) == (is_foreign ? 106 : 102) && left == 3);
		CHECK(handled(10) == (is_foreign ? 115 : 111) && handled(-10) == -100);
	}
	CHECK(static_call_update(key, frames) == 0);
	// The function itself, main, and its caller.
	CHECK(static_call(key, 0) >= 3 && plain(0) >= global + 4);
	report();
	return 0;
}
