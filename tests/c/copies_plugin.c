/* A plugin with its own runtime, which it does not export. */
#include "check.h"

#define EXPORT __attribute__((visibility("default")))

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);

EXPORT int plugin_call(void);
EXPORT int plugin_flip(int is_on);
EXPORT int plugin_writer(void);

int plugin_call(void) { return static_call(key) * 1; }
int plugin_flip(int is_on) { return PATIENTLY(static_call_update(key, is_on ? two : one)); }
int plugin_writer(void) { return static_call_writer(); }
