/* A plugin of registry.c. */
#include <static_branch.h>

static DEFINE_STATIC_KEY_FALSE(plugin_trace);

__attribute__((visibility("default"))) int plugin_ways(void);
int plugin_ways(void) { return static_branch_unlikely(&plugin_trace); }
