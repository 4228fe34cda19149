/* A plugin that the torture test loads and unloads while its other threads work. */
#include "torture.h"

/* While the plugin is loaded, one of the program's keys has one of these targets. */
DEFINE_TARGETS(plugin_targets, VISITOR);

DEFINE_TARGETS(own_targets, PLUGIN);
static DEFINE_STATIC_CALL(own_key, own_targets0);

uint64_t plugin_call_plain(uint64_t argument) { return NOT_LAST(static_call(plain_key, argument)); }
uint64_t plugin_tail_plain(uint64_t argument) { return static_call(plain_key, argument); }
uint64_t plugin_call_own(uint64_t argument) { return NOT_LAST(static_call(own_key, argument)); }
uint64_t plugin_tail_own(uint64_t argument) { return static_call(own_key, argument); }
int plugin_update_own(uint64_t number) { return static_call_update(own_key, own_targets[number]); }
