/* The seal: no updates any more, and the keys' pages are read-only, in the program and in a DLL. */
#include <windows.h>

#include "check.h"
#include "pe.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static DEFINE_STATIC_CALL(own, one);

static DWORD protection(const void *address)
{
	MEMORY_BASIC_INFORMATION information;
	CHECK(VirtualQuery(address, &information, sizeof(information)));
	return information.Protect;
}

int main(void)
{
	CHECK(static_call_update(own, two) == 0 && static_call_update(shared, targets[3]) == 0);
	CHECK(protection(&STATIC_CALL_KEY(own)) != PAGE_READONLY);
	CHECK(static_call_seal() == 0);
	CHECK(protection(&STATIC_CALL_KEY(own)) == PAGE_READONLY);
	CHECK(protection(&STATIC_CALL_KEY(shared)) == PAGE_READONLY);
	CHECK(static_call_update(own, one) == -EROFS && static_call_update(shared, targets[1]) == -EROFS);
	CHECK(static_call(own, 1) == 3 && static_call(shared, 1) == 4);
	CHECK(static_call_seal() == 0);
	report();
	return 0;
}
