// Branches where only C++ has code: in templates, classes, lambdas, constructors, destructors, handlers of
// exceptions, and coroutines; and keys in namespaces and classes.
#include "check.h"
#include <static_branch.h>
#if __cplusplus >= 202002L
#include <coroutine>
#endif

namespace outer {
DEFINE_STATIC_KEY_FALSE(trace);
namespace {
DEFINE_STATIC_KEY_TRUE(check);
}
} // namespace outer

// g++ puts no keys of classes and templates into the section of others.
struct Codec {
	static inline static_key_false fast = STATIC_KEY_FALSE_INIT;
	int bits() const { return static_branch_unlikely(&fast) ? 1 : 0; }
	template <typename T> T scaled(T value) const
	{
		return static_branch_unlikely(&fast) ? value * 2 : value;
	}
};

template <typename T> struct Counted {
	static inline static_key_false key = STATIC_KEY_FALSE_INIT;
	static bool is_on() { return static_branch_unlikely(&key); }
};

template <static_key_false *Key> __attribute__((noinline)) int by_argument()
{
	return static_branch_likely(Key) ? 1 : 0;
}

struct OnDestruction {
	int &value;
	explicit OnDestruction(int &to) : value(to)
	{
		if (static_branch_unlikely(&outer::trace))
			value += 1;
	}
	~OnDestruction()
	{
		if (static_branch_unlikely(&outer::trace))
			value += 10;
	}
};

// Throws while the key is on, out of a frame with something to destroy.
__attribute__((noinline)) static void may_throw(int &value)
{
	OnDestruction on_destruction(value);
	if (static_branch_unlikely(&outer::trace))
		throw 100;
}

static int in_handlers()
{
	int value = 0;
	try {
		may_throw(value);
	} catch (int thrown) {
		value += static_branch_likely(&outer::trace) ? thrown : 5000;
	}
	return value;
}

// For clang before 17, each jump here might pass a destructor or enter the `try`.
static int in_several_scopes(int way)
{
	int value = static_branch_unlikely(&outer::trace) ? 1 : 0;
	switch (way) {
	case 0:
		try {
			OnDestruction on_destruction(value);
			if (static_branch_unlikely(&outer::trace))
				throw 100;
		} catch (int thrown) {
			value += static_branch_likely(&outer::trace) ? thrown : 5000;
		}
		break;
	default: break;
	}
	const bool is_on{ static_branch_unlikely(&outer::trace) };
	return value + (is_on ? 1000 : 0);
}

static int in_lambdas(int value)
{
	auto lambda = [=](auto more) { return static_branch_unlikely(&outer::trace) ? value + more : value; };
	return lambda(1) + static_cast<int>(lambda(2L));
}

static inline int in_line() { return static_branch_likely(&outer::check) ? 0 : 3; }

#if __cplusplus >= 202002L
// Gives its values one by one. Between two of them the key may change.
struct Values {
	struct promise_type {
		int value = 0;
		Values get_return_object()
		{
			return { std::coroutine_handle<promise_type>::from_promise(*this) };
		}
		std::suspend_always initial_suspend() noexcept { return {}; }
		std::suspend_always final_suspend() noexcept { return {}; }
		std::suspend_always yield_value(int next)
		{
			value = next;
			return {};
		}
		void return_void() {}
		void unhandled_exception() { abort(); }
	};
	std::coroutine_handle<promise_type> handle;

	int next()
	{
		handle.resume();
		return handle.promise().value;
	}
};

static Values ways()
{
	for (int number = 0;; number += 10) {
		if (static_branch_unlikely(&outer::trace))
			co_yield number + 1;
		else
			co_yield number;
	}
}

static void check_coroutines()
{
	Values values = ways();
	CHECK(values.next() == 0 && values.next() == 10);
	CHECK(static_branch_enable(&outer::trace) == 0);
	CHECK(values.next() == 21 && values.next() == 31);
	CHECK(static_branch_disable(&outer::trace) == 0 && values.next() == 40);
	values.handle.destroy();
}
#else
static void check_coroutines() {}
#endif

static void check_ways(bool is_on)
{
	const Codec codec{};
	CHECK(codec.bits() == is_on && codec.scaled(3) == (is_on ? 6 : 3) &&
	      codec.scaled(2L) == (is_on ? 4 : 2));
	CHECK(Counted<int>::is_on() == is_on && !Counted<long>::is_on());
	CHECK(by_argument<&outer::trace>() == is_on && by_argument<&Codec::fast>() == is_on);
	CHECK(in_handlers() == (is_on ? 111 : 0));
	CHECK(in_several_scopes(0) == (is_on ? 1112 : 0) && in_several_scopes(1) == (is_on ? 1001 : 0));
	CHECK(in_lambdas(4) == (is_on ? 11 : 8) && in_line() == (is_on ? 3 : 0));
}

int main()
{
	for (int round = 0; round < 2; round++) {
		check_ways(false);
		check_coroutines();
		struct static_call_change changes[] = { STATIC_BRANCH_CHANGE(&outer::trace, true),
							STATIC_BRANCH_CHANGE(&Codec::fast, true),
							STATIC_BRANCH_CHANGE(&Counted<int>::key, true),
							STATIC_BRANCH_CHANGE(&outer::check, false) };
		CHECK(static_call_update_batch(changes, 4) == 0);
		check_ways(true);
		CHECK(static_call_update_batch(changes, 4) == 0);
	}
}
