/* A shared object that the torture test links. */
#include "torture.h"

DEFINE_TARGETS(shared_plain_targets, PLAIN);
DEFINE_TARGETS(shared_shared_targets, SHARED);
DEFINE_TARGETS(shared_zero_targets, ZERO);
DEFINE_HOOKS(shared_hooks);

EXPORT DEFINE_STATIC_CALL(shared_key, shared_shared_targets0);

uint64_t shared_call_plain(uint64_t argument) { return NOT_LAST(static_call(plain_key, argument)); }
uint64_t shared_tail_plain(uint64_t argument) { return static_call(plain_key, argument); }
uint64_t shared_conditional_plain(uint64_t argument)
{
	if (argument == UINT64_MAX)
		return 0;
	return static_call(plain_key, argument);
}
uint64_t shared_call_shared(uint64_t argument) { return NOT_LAST(static_call(shared_key, argument)); }
uint64_t shared_tail_shared(uint64_t argument) { return static_call(shared_key, argument); }
uint64_t shared_call_zero(uint64_t argument) { return NOT_LAST(static_call(zero_key, argument)); }
uint64_t shared_tail_zero(uint64_t argument) { return static_call(zero_key, argument); }
uint64_t shared_call_visitor(uint64_t argument) { return static_call(visitor_key, argument); }
void shared_call_hook(uint64_t argument, uint64_t *out) { static_call_cond(hook_key, argument, out); }
