// An importer of a module calls and updates its keys. The macros come from the header, because modules export
// no macros.
#ifdef HEADER_UNIT
import <static_call.h>; // The header's guard comes with it.
#endif
#include "check.h"

import codec;

static int other(int a) { return a + 100; }
DEFINE_STATIC_CALL(of_the_program, other);

int main()
{
	CHECK(all(1) == 2 + 2 + 2 + 1001 + 101 + 2 + 0);
	CHECK(static_call(exported, 1) == 2 && static_call(inlined, 1) == 2 &&
	      static_call(codec::in_namespace, 1) == 2);
	CHECK(in_line(1) == 2 && generic(1) == 2);
	CHECK(static_call(Codec::encode, 1) == 2 && Codec().call(1) == 2);
	static_call_cond(hook, 1);
	CHECK(static_call(zero, 1) == 0 && !static_call_query(hook));

	CHECK(update() == 0);
	CHECK(static_call(exported, 1) == 0xfe && in_line(1) == 0xfe && generic(1) == 0xfe);
	CHECK(all(1) == 0xfe + 2 + 0xfe + 1001 + 101 + 0xfe + 0);
	CHECK(static_call_update(Codec::encode, masked) == 0 && Codec().call(1) == 0xfe);
	CHECK(static_call_update(hook, masked) == 0 && static_call_query(hook) == masked);
	report();
}
