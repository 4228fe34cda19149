/* A plugin of sealed_writes.c. */
#include "sealed_writes.h"

#define EXPORT __attribute__((visibility("default")))

static int twice(int a) { return a * 2; }
static DEFINE_STATIC_CALL(own, twice);

EXPORT int plugin_call(int a);
EXPORT int plugin_tail(int a);
EXPORT struct image *plugin_image(void);

int plugin_call(int a) { return static_call(host_key, a) + static_call(own, a) - 2 * a; }
int plugin_tail(int a) { return static_call(own, a); }
struct image *plugin_image(void) { return &image; }
