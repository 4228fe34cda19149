// Exceptions leave targets through direct calls and trampolines, and the destructors of all frames in between
// run.
#include <stdexcept>
#include <string>

#include "check.h"

namespace {

int unwound;
struct Frame {
	~Frame() { unwound++; }
};

int quiet(int a) { return a; }
int loud(int a) { throw std::runtime_error(std::to_string(a)); }
DEFINE_STATIC_CALL(key, quiet);
DEFINE_STATIC_CALL_NULL(hook, void(int));
void loud_hook(int a) { throw a; }

// No cleanup and no handler: a plain call, which has to pass the exception on.
__attribute__((noinline)) int plain(int a) { return static_call(key, a) + 1; }
// A tail call.
__attribute__((noinline)) int tail(int a) { return static_call(key, a); }
// A cleanup: an invoke.
__attribute__((noinline)) int cleaned(int a)
{
	Frame frame;
	return static_call(key, a) + 1;
}

template <typename Call> std::string caught(Call call)
{
	try {
		return std::to_string(call());
	} catch (const std::exception &error) {
		return std::string("caught ") + error.what();
	}
}

} // namespace

int main()
{
	for (int round = 0; round < 2; round++) {
		unwound = 0;
		CHECK(caught([] { return plain(5); }) == "6");
		CHECK(caught([] { return tail(5); }) == "5");
		CHECK(caught([] { return cleaned(5); }) == "6" && unwound == 1);
		CHECK(caught([] { return static_call(key, 5); }) == "5");
		CHECK(static_call_update(key, loud) == 0);
		CHECK(caught([] { return plain(5); }) == "caught 5");
		CHECK(caught([] { return tail(5); }) == "caught 5");
		CHECK(caught([] { return cleaned(5); }) == "caught 5" && unwound == 2);
		CHECK(caught([] { return static_call(key, 5); }) == "caught 5");
		CHECK(static_call_update(key, quiet) == 0);

		int thrown = 0;
		try {
			static_call_cond(hook, 1);
			CHECK(static_call_update(hook, loud_hook) == 0);
			Frame frame;
			static_call_cond(hook, 2);
		} catch (int value) {
			thrown = value;
		}
		CHECK(thrown == 2 && unwound == 3);
		CHECK(static_call_update(hook, nullptr) == 0);
	}
	report();
}
