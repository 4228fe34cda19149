// Keys in C++: in namespaces, classes, class templates, inline variables, functions and lambdas.
#include "check.h"

namespace outer::inner {
int add(int a, int b) { return a + b; }
int subtract(int a, int b) { return a - b; }
DEFINE_STATIC_CALL(key, add);
int call(int a, int b) { return static_call(key, a, b); }
} // namespace outer::inner

namespace outer::other {
int multiply(int a, int b) { return a * b; }
DEFINE_STATIC_CALL(key, multiply); // The same name as a key of another namespace.
} // namespace outer::other

class Codec {
	static int plain(int a) { return a; }
	static int masked(int a) { return a ^ 0xff; }

      public:
	static inline DEFINE_STATIC_CALL(encode, plain);
	static int call(int a) { return static_call(encode, a); }
	static int mask() { return static_call_update(encode, masked); }
};

template <typename Number> struct Doubler {
	static Number once(Number a) { return a; }
	static Number twice(Number a) { return a + a; }
	static inline DEFINE_STATIC_CALL(key, once);
	static Number call(Number a) { return static_call(key, a); }
	static int update() { return static_call_update(key, twice); }
};

// C++17 cannot tell that it is a type; C++20 can.
template <typename Owner, typename Number> Number call_of(Number a)
{
	return static_call_at(typename Owner::STATIC_CALL_TYPE(key), &Owner::STATIC_CALL_KEY(key), a);
}

inline int inline_default() { return 1; }
inline DEFINE_STATIC_CALL(inline_key, inline_default);

int overloaded(int a) { return a; }
double overloaded(double a) { return a + 0.5; }
DEFINE_STATIC_CALL(of_int, static_cast<int (*)(int)>(overloaded));

int never_throws(int a) noexcept { return a; }
int may_throw(int a) { return a + 1; }
DEFINE_STATIC_CALL(any, may_throw);
DEFINE_STATIC_CALL(only_noexcept, never_throws);

extern "C" int c_function(int a) { return a * 3; }

struct Tracked {
	static int alive;
	int value;
	explicit Tracked(int v) : value(v) { alive++; }
	Tracked(const Tracked &other) : value(other.value) { alive++; }
	~Tracked() { alive--; }
};
int Tracked::alive;
Tracked pass_on(Tracked t, const int &more) { return Tracked(t.value + more); }
Tracked negate(Tracked t, const int &more) { return Tracked(-t.value - more); }
DEFINE_STATIC_CALL(objects, pass_on);

static void namespaces()
{
	CHECK(outer::inner::call(5, 3) == 8);
	{
		using namespace outer::inner;
		CHECK(static_call(key, 5, 3) == 8);
		CHECK(static_call_update(key, subtract) == 0);
	}
	CHECK(outer::inner::call(5, 3) == 2);
	CHECK(static_call(outer::other::key, 5, 3) == 15);
	CHECK(static_call_fn(::outer::other::key)(5, 3) == 15);
	CHECK(static_call_query(outer::other::key) == outer::other::multiply);
	CHECK(static_call_update(outer::other::key, outer::inner::add) == 0);
	CHECK(static_call(outer::other::key, 5, 3) == 8);
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(outer::inner::key, outer::inner::add),
						STATIC_CALL_CHANGE(outer::other::key,
								   outer::inner::subtract) };
	CHECK(static_call_update_batch(changes, 2) == 0);
	CHECK(static_call(outer::inner::key, 5, 3) == 8 && static_call(outer::other::key, 5, 3) == 2);
	// By its two parts.
	CHECK(static_call_at(outer::other::STATIC_CALL_TYPE(key), &outer::other::STATIC_CALL_KEY(key), 5,
			     3) == 2);
}

static void classes()
{
	CHECK(Codec::call(1) == 1 && Codec::mask() == 0 && Codec::call(1) == 0xfe);
	CHECK(static_call(Codec::encode, 1) == 0xfe);
	CHECK(Doubler<int>::call(2) == 2 && Doubler<double>::call(1.5) == 1.5);
	CHECK(Doubler<int>::update() == 0);
	CHECK(Doubler<int>::call(2) == 4 && Doubler<double>::call(1.5) == 1.5);
	CHECK(call_of<Doubler<int>>(2) == 4 && call_of<Doubler<double>>(1.5) == 1.5);
	CHECK(static_call(Doubler<double>::key, 1.5) == 1.5 && static_call(Doubler<int>::key, 2) == 4);
	CHECK(static_call(inline_key) == 1 && static_call(::inline_key) == 1);
}

static void functions()
{
	CHECK(static_call(of_int, 2) == 2);
	CHECK(static_call_update(of_int, [](int a) { return a * 100; }) == 0);
	CHECK(static_call(of_int, 2) == 200);
	CHECK(static_call_update(of_int, c_function) == 0);
	CHECK(static_call(of_int, 2) == 6);
	CHECK(static_call_update(of_int, overloaded) == 0); // The matching overload.
	CHECK(static_call(of_int, 2) == 2);
	CHECK(static_call(any, 1) == 2 && static_call_update(any, never_throws) == 0 &&
	      static_call(any, 1) == 1);
	static_assert(noexcept(static_call(only_noexcept, 1)), "the key's type is its function's");
	CHECK(static_call(only_noexcept, 1) == 1);

	// In a function, a lambda, and a lambda's lambda.
	static DEFINE_STATIC_CALL(local, may_throw);
	auto lambda = [] { return static_call(local, 1); };
	CHECK(lambda() == 2 && static_call_update(local, c_function) == 0 && lambda() == 3);

	int more = 4;
	CHECK(static_call(objects, Tracked(1), more).value == 5);
	CHECK(static_call_update(objects, negate) == 0);
	CHECK(static_call(objects, Tracked(1), more).value == -5);
	CHECK(Tracked::alive == 0);
}

// Another convention is part of the type.
static long seen;
PRESERVE_MOST static void observe(long a) { seen += a; }
PRESERVE_MOST static long identity(long a) noexcept { return a; }
static DEFINE_STATIC_CALL_NULL(hook, observe);
static DEFINE_STATIC_CALL_RET0(zero, identity);

static void conventions()
{
	static_call_cond(hook, 1);
	CHECK(seen == 0 && static_call_update(hook, observe) == 0);
	static_call_cond(hook, 2);
	CHECK(seen == 2 && static_call_update(hook, nullptr) == 0);
	static_call_cond(hook, 3);
	CHECK(seen == 2);
	CHECK(static_call(zero, 5) == 0 && static_call_update(zero, identity) == 0 &&
	      static_call(zero, 5) == 5);
}

int main()
{
	namespaces();
	classes();
	functions();
	conventions();
	report();
}
