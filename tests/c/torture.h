/* Shared by the torture test's program, in C or in Rust, and its two shared objects. */
#ifndef TORTURE_H
#define TORTURE_H

#include <static_branch.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#define TARGETS 8

/* The keys by number, which no target answers with 0. */
enum { PLAIN = 1, SHARED, ZERO, VISITOR, HANDLER, HOOK, PLUGIN, LOCKED, STOPPED, BRANCH, KEYS };

/* A target's result, which identifies the key, the target and the argument. */
#define ANSWER(key, number, argument) ((argument) << 16 | (uint64_t)(key) << 8 | (number))

typedef uint64_t answer(uint64_t argument);
/* For the key that is a hook. */
typedef void put_answer(uint64_t argument, uint64_t *out);

/* An array of all targets of a key. */
#define DEFINE_TARGETS(name, key)                                                                   \
	ANSWERS(name, key, 0) ANSWERS(name, key, 1) ANSWERS(name, key, 2) ANSWERS(name, key, 3)     \
	ANSWERS(name, key, 4) ANSWERS(name, key, 5) ANSWERS(name, key, 6) ANSWERS(name, key, 7)     \
	answer *const name[TARGETS] = { name##0, name##1, name##2, name##3,                         \
					name##4, name##5, name##6, name##7 }
#define ANSWERS(name, key, number)                                                                  \
	static uint64_t name##number(uint64_t argument) { return ANSWER(key, number, argument); }

#define DEFINE_HOOKS(name)                                                                          \
	PUTS(name, 0) PUTS(name, 1) PUTS(name, 2) PUTS(name, 3)                                     \
	PUTS(name, 4) PUTS(name, 5) PUTS(name, 6) PUTS(name, 7)                                     \
	put_answer *const name[TARGETS] = { name##0, name##1, name##2, name##3,                     \
					    name##4, name##5, name##6, name##7 }
#define PUTS(name, number)                                                                          \
	static void name##number(uint64_t argument, uint64_t *out) { *out = ANSWER(HOOK, number, argument); }

/* Keeps a call from becoming a tail call. */
#define NOT_LAST(value) ({ uint64_t value_ = (value); __asm__ volatile("" : "+r"(value_)); value_; })

/* The keys that more than one image calls; shared_key lies in the shared object. */
DECLARE_STATIC_CALL(plain_key, answer);
DECLARE_STATIC_CALL(shared_key, answer);
DECLARE_STATIC_CALL(zero_key, answer);
DECLARE_STATIC_CALL(visitor_key, answer);
DECLARE_STATIC_CALL(hook_key, put_answer);
DECLARE_STATIC_KEY_FALSE(branch_key);

/* Targets in the shared object, mostly too far away for the program's calls to reach them directly. */
EXPORT extern answer *const shared_plain_targets[TARGETS];
EXPORT extern answer *const shared_shared_targets[TARGETS];
EXPORT extern answer *const shared_zero_targets[TARGETS];
EXPORT extern put_answer *const shared_hooks[TARGETS];

/* Calls of the keys in the shared object. */
EXPORT answer shared_call_plain, shared_tail_plain, shared_conditional_plain;
EXPORT answer shared_call_shared, shared_tail_shared;
EXPORT answer shared_call_zero, shared_tail_zero;
EXPORT answer shared_call_visitor;
EXPORT put_answer shared_call_hook;

/* The plugin, whose symbols the program looks up. */
EXPORT extern answer *const plugin_targets[TARGETS];
EXPORT answer plugin_call_plain, plugin_tail_plain, plugin_call_own, plugin_tail_own;
/* Gives the plugin's own key the target of this number. */
EXPORT int plugin_update_own(uint64_t number);

#endif
