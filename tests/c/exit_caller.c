/* A plugin of exit_host.c that calls another plugin's key. */
#include "check.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT DECLARE_STATIC_CALL(exit_hook, int(void));
EXPORT int caller_call(void);
int caller_call(void) { return static_call(exit_hook) + 0 * static_call(exit_hook); }
