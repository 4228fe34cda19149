#include "two_files.h"

static long mine(int a) { return a * 101; }
static long other(int a) { return a; }
static DEFINE_STATIC_CALL(own, mine);

int shared_default(int a) { return a + 100; }
int call_from_other_file(int a) { return (int)static_call(own, a) * 1000 + static_call(shared, a); }
int update_other_files_own(void) { return static_call_update(own, other); }
