#include "counter.h"
#include <static_call.h>

static int add_one(int x) { return x + 1; }
static int double_it(int x) { return x * 2; }
static DEFINE_STATIC_CALL(counter_key, add_one);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int COUNTER(step)(int x) { return static_call(counter_key, x); }
EXPORTED int COUNTER(switch)(void) { return static_call_update(counter_key, double_it); }
EXPORTED int COUNTER(seal)(void) { return static_call_seal(); }

EXPORTED int COUNTER(direct)(void)
{
	struct static_call_info info;

	static_call_process_info(&info);
	return (int)info.direct;
}

EXPORTED int COUNTER(sites)(void)
{
	struct static_call_info info;

	static_call_process_info(&info);
	return (int)info.sites;
}
