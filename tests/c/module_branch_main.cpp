// An importer of a module switches its keys, and has branches of them.
#include "check.h"
#include <static_branch.h>

import branches;

int main()
{
	CHECK(ways() == 2 && counts() == 10 && !static_branch_unlikely(&trace) &&
	      static_branch_likely(&check));
	CHECK(static_branch_inc(&trace) == 0 && static_branch_inc(&trace) == 0 &&
	      static_branch_disable(&check) == 0);
	CHECK(ways() == 1 && counts() == 2 && static_branch_unlikely(&trace) &&
	      !static_branch_likely(&check));
	CHECK(enable_own() == 1 && ways() == 5);
	CHECK(static_key_enabled(&trace) && !static_key_enabled(&check));
}
