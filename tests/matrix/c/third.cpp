#include "matrix.h"

namespace {

struct Static {
	static inline DEFINE_STATIC_CALL(member, plain);
};

template <typename T> int in_template(T value) { return static_call(shared, 8, static_cast<int>(value)) + 1; }

int instantiated(int value) { return in_template<long>(value); }

int member(int value) { return static_call(Static::member, 9, value) + 1; }

int in_lambda(int value)
{
	auto lambda = [=](int more) { return static_call(shared, 10, value + more); };
	return lambda(0) + 1;
}

struct OnDestruction {
	int *value;
	__attribute__((noinline)) ~OnDestruction() { *value = static_call(shared, 11, *value) + 1; }
};

int in_destructor(int value)
{
	{
		OnDestruction on_destruction{ &value };
	}
	return value;
}

int with_handler(int value)
{
	try {
		return static_call(shared, 12, value) + 1;
	} catch (int) {
		return 0;
	}
}

DEFINE_STATIC_KEY_FALSE(key);
__attribute__((noinline)) bool is_on() { return static_branch_likely(&key); }

} // namespace

extern "C" const struct file third = {
	{ { instantiated, 1 }, { member, 1 }, { in_lambda, 1 }, { in_destructor, 1 }, { with_handler, 1 } },
	{ &Static::STATIC_CALL_KEY(member) },
	{ "cpp", is_on, &key },
};
