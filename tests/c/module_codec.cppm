// Keys in a C++20 module: exported or not, attached to this module or to none.
module;
#include "module_key.h"
export module codec;

int plain(int a) { return a + 1; }
export int masked(int a) { return a ^ 0xff; }

DEFINE_STATIC_CALL(internal, plain);
static DEFINE_STATIC_CALL(local, plain);
export {
	DEFINE_STATIC_CALL(exported, plain);
	inline DEFINE_STATIC_CALL(inlined, plain);
	DEFINE_STATIC_CALL_NULL(hook, int(int));
	DEFINE_STATIC_CALL_RET0(zero, plain);
}
namespace codec {
export {
	DEFINE_STATIC_CALL(in_namespace, plain);
}
} // namespace codec
extern "C++" {
DECLARE_STATIC_CALL(of_the_program, int(int));
}

export struct Codec {
	static inline DEFINE_STATIC_CALL(encode, plain);
	int call(int a) { return static_call(encode, a); }
};

export int all(int a)
{
	static_call_cond(hook, a);
	return static_call(internal, a) + static_call(local, a) + static_call(exported, a) +
	       static_call(key_of_c, a) + static_call(of_the_program, a) +
	       static_call(codec::in_namespace, a) + static_call(zero, a);
}
export inline int in_line(int a) { return static_call(exported, a); }
export template <typename Number> Number generic(Number a) { return static_call(exported, a); }

export int update()
{
	static_call_change changes[] = { STATIC_CALL_CHANGE(exported, masked),
					 STATIC_CALL_CHANGE(internal, masked),
					 STATIC_CALL_CHANGE(codec::in_namespace, masked) };
	return static_call_update_batch(changes, 3);
}
