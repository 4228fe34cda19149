/* A plugin of plugin_host.c; loaded twice, under two file names. */
#include <errno.h>

#include "plugin_host.h"

#define EXPORT __attribute__((visibility("default")))

static int twice(int a) { return a * 2; }
static int thrice(int a) { return a * 3; }
static DEFINE_STATIC_CALL(own, twice);

EXPORT int plugin_call_host(int a);
EXPORT int plugin_call_own(int a);
EXPORT int plugin_update_own(void);
EXPORT int plugin_update_host(void);

EXPORT void *plugin_key(void);
void *plugin_key(void) { return &STATIC_CALL_KEY(own); }
int plugin_call_host(int a) { return static_call(host_key, a); }
int plugin_call_own(int a) { return static_call(own, a); }
int plugin_update_own(void) { return static_call_update(own, thrice); }
int plugin_update_host(void) { return static_call_update(host_key, thrice); }

/* The destructor of an image still calls and updates while the image is unloaded. */
__attribute__((destructor)) static void unload(void)
{
	int error = static_call_update(own, twice);
	CHECK((error == 0 || error == -EROFS) && static_call(own, 1) == 2);
}
