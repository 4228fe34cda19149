/* Keys of a shared object: one that it calls, and one that nobody calls. */
#include <static_call.h>

static int plain(int a) { return a + 1; }
static int wide(int a) { return a + 2; }
static int (*choose(void))(int) { return wide; }
DEFINE_STATIC_CALL_DISPATCH(plugin_called, plain, choose);
DEFINE_STATIC_CALL_DISPATCH(plugin_not_called, plain, choose);

/* Before its constructors, too. */
__attribute__((visibility("default"))) int early;
__attribute__((constructor(101))) static void call_early(void) { early = static_call(plugin_called, 0); }

__attribute__((visibility("default"))) int plugin_call(int a);
int plugin_call(int a) { return static_call(plugin_called, a); }

__attribute__((visibility("default"))) int plugin_query(int a);
int plugin_query(int a) { return static_call_query(plugin_not_called)(a); }
