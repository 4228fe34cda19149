// Sites and keys of which every file may have a copy, for tests/tests/machine.rs.
#include "static_call.h"

int target(int);
inline DEFINE_STATIC_CALL(inline_key, target);

inline __attribute__((noinline)) int inline_function(int x) { return static_call(inline_key, x) + 1; }
template <int N> __attribute__((noinline)) int instance(int x) { return static_call(inline_key, x) + N; }
struct throws {
	~throws();
};
// An invoke: the call has a landing pad.
int unwinds(int x)
{
	throws t;
	return static_call(inline_key, x);
}
int FIRST(int x) { return inline_function(x) + instance<1>(x); }
int SECOND(int x) { return inline_function(x) + instance<1>(x) + instance<2>(x); }
