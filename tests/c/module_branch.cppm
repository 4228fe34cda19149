// A module's branches, whose keys others switch.
module;
#include <static_branch.h>
export module branches;

export {
	DEFINE_STATIC_KEY_FALSE(trace);
	inline DEFINE_STATIC_KEY_TRUE(check);
}
static DEFINE_STATIC_KEY_FALSE(own);

export int ways()
{
	return (static_branch_unlikely(&trace) ? 1 : 0) + (static_branch_likely(&check) ? 2 : 0) +
	       (static_branch_unlikely(&own) ? 4 : 0);
}
export int counts() { return static_key_count(&trace) + 10 * static_key_count(&check); }
export int enable_own() { return static_branch_enable(&own) + static_key_count(&own); }
