/* A plugin of sealed_truth.c. SHARES: it also calls the program's key. IN_STRUCT: its own key lies in a
 * struct. */
#include <static_call.h>

#define EXPORT __attribute__((visibility("default")))

static int twice(int a) { return a * 2; }
static int thrice(int a) { return a * 3; }

#ifdef IN_STRUCT
static struct {
	int x;
	struct static_call_key key;
} in_struct = { 1, STATIC_CALL_INIT(twice) };
#define KEY (&in_struct.key)
#else
static DEFINE_STATIC_CALL(own, twice);
#define KEY (&STATIC_CALL_KEY(own))
#endif

#ifdef SHARES
int host_default(int a);
DECLARE_STATIC_CALL(host_key, host_default);
EXPORT int plugin_call_host(int a);
int plugin_call_host(int a) { return static_call(host_key, a); }
#endif

EXPORT int plugin_call(int a);
EXPORT int plugin_update(void);
EXPORT void *plugin_key(void);

int plugin_call(int a) { return static_call_at(twice, KEY, a); }
int plugin_update(void) { return static_call_update_at(twice, KEY, thrice); }
void *plugin_key(void) { return KEY; }
