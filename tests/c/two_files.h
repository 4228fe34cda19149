/* A key that one file defines and both call, and a static key of each file with the same name. */
#include "check.h"

int shared_default(int a);
DECLARE_STATIC_CALL(shared, shared_default);
int call_from_other_file(int a);
int update_other_files_own(void);
