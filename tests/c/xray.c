/* XRay and updates patch the same page in turns. Each preserves the other's changes and restores the
 * page's rights. */
#include <xray/xray_interface.h>

#include "maps.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static DEFINE_STATIC_CALL(key, one);
static int entries;

__attribute__((xray_never_instrument)) static void handler(int32_t function, enum XRayEntryType type)
{
	(void)function;
	entries += type == ENTRY;
}

static int call(int x);

static void check_call(int expected, int is_entry_seen)
{
	const int before = entries;
	CHECK(call(1) == expected && (entries > before) == is_entry_seen);
	CHECK(has_access(call, "r-x"));
}

__attribute__((noinline, xray_always_instrument)) static int call(int x) { return static_call(key, x) * 2; }

int main(void)
{
	CHECK(__xray_set_handler(handler) == 1);
	for (int round = 0; round < 5; round++) {
		CHECK(__xray_patch() == SUCCESS);
		check_call(4, 1);
		CHECK(static_call_update(key, two) == 0);
		check_call(6, 1);
		CHECK(__xray_unpatch() == SUCCESS);
		check_call(6, 0);
		CHECK(static_call_update(key, one) == 0);
		check_call(4, 0);
	}
	report();
	return 0;
}
