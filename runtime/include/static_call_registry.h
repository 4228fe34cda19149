/* static_call_registry.h - the keys of the process by their names.
 *
 *     struct static_call_entry entry = STATIC_CALL_FIRST;
 *
 *     while (static_call_next("net_*", &entry) > 0)
 *             printf("%s: %s\n", entry.name, entry.count > 0 ? "on" : "off");
 *
 *     if (static_branch_enable_matching("net_*", &entry) < 0)      // all of them, or none
 *             printf("not %s\n", entry.name);
 *
 * Patterns: `*` stands for any characters, also for none, and `?` for one. Every other character stands for
 * itself, and the pattern has to match the whole name. A C key's name is the key's, a Rust key's is the path
 * of its declaration (`crate::module::KEY`).
 *
 * Keys: those of all images that are registered or were refused, and those that registered images use.
 *
 * With STATIC_CALL_ENABLE=pattern,... in the environment, keys of branches whose names match begin as if they
 * had been defined as true. Set-user-ID programs do not look at it.
 *
 * Include it where it is needed; static_call.h and static_branch.h do not. With STATIC_CALL_WITHOUT_LIBRARY
 * no key is known.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef STATIC_CALL_REGISTRY_H
#define STATIC_CALL_REGISTRY_H

#include "static_call.h"

/* Fields that users name keep their plain names, whatever macros of these names there are. */
#pragma push_macro("target")
#pragma push_macro("count")
#pragma push_macro("info")
#pragma push_macro("state")
#pragma push_macro("name")
#undef target
#undef count
#undef info
#undef state
#undef name

#if __STATIC_CALL_GNU
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

enum static_call_state {
	STATIC_CALL_STATE_CALLS = 0, /* calls reach the target */
	STATIC_CALL_STATE_NULL = 1,  /* calls do nothing */
	STATIC_CALL_STATE_RET0 = 2,  /* calls return 0 */
	STATIC_CALL_STATE_BRANCH = 3 /* a branch's key; on if its count is not 0 */
};

/* What a key was when it was asked about. */
struct __STATIC_CALL_ALIGNED static_call_entry {
	size_t __key;                   /* where the walk is */
	__static_call_function *target; /* or NULL */
	size_t count;                   /* how many want a branch on */
	struct static_call_info info;   /* as static_call_key_info counts */
	uint32_t state;                 /* one of static_call_state's */
	char name[256];                 /* a longer name is cut */
};

/* The start of a walk. */
#define STATIC_CALL_FIRST                                                                           \
	{ 0, __STATIC_CALL_NULL, 0, { 0, 0, 0, 0, 0, 0, 0 }, STATIC_CALL_STATE_CALLS, "" }

/* Puts the next key whose name matches into `entry`, which holds the last one or STATIC_CALL_FIRST. 1, or 0
 * behind the last key; or -EBUSY in the handler of a fault that interrupted an update on its own thread.
 *
 * Each key is looked for when it is asked for. So anything may be done in between: keys may be switched, and
 * images loaded and unloaded. A key that is there all the time comes once. */
#define static_call_next(pattern, entry) (__static_call_next(pattern, SIZE_MAX, entry))

/* Change all branches whose names match, or none. Keys of functions are left alone. `failed` may be NULL;
 * otherwise it becomes the key that was in the way, or an entry without a name.
 *
 * The number of branches, or a negative errno as those of static_branch_enable. Who wants branches on for a
 * while uses inc and dec: then whoever else wants one of them on keeps it on. */
#define static_branch_enable_matching(pattern, failed) __STATIC_CALL_SWITCH(pattern, 1, failed)
#define static_branch_disable_matching(pattern, failed) __STATIC_CALL_SWITCH(pattern, 2, failed)
#define static_branch_inc_matching(pattern, failed) __STATIC_CALL_SWITCH(pattern, 3, failed)
#define static_branch_dec_matching(pattern, failed) __STATIC_CALL_SWITCH(pattern, 4, failed)
#define __STATIC_CALL_SWITCH(pattern, wish, failed)                                                 \
	(__static_call_switch_matching(pattern, SIZE_MAX, wish, failed, __STATIC_CALL_NULL))

#ifdef STATIC_CALL_WITHOUT_LIBRARY
__STATIC_CALL_HERE int
__static_call_next(const char *__pattern, size_t __len, struct static_call_entry *__entry)
{
	(void)__pattern;
	(void)__len;
	(void)__entry;
	return 0;
}

__STATIC_CALL_HERE ptrdiff_t __static_call_switch_matching(const char *__pattern, size_t __len,
							   uint32_t __wish,
							   struct static_call_entry *__failed, void *__error)
{
	const struct static_call_entry __nothing = STATIC_CALL_FIRST;

	(void)__pattern;
	(void)__len;
	(void)__wish;
	(void)__error;
	if (__failed != __STATIC_CALL_NULL)
		*__failed = __nothing;
	return 0;
}
#else
__STATIC_CALL_LIBRARY int
__static_call_next(const char *__pattern, size_t __len, struct static_call_entry *__entry);
__STATIC_CALL_MUST_CHECK __STATIC_CALL_LIBRARY ptrdiff_t
__static_call_switch_matching(const char *__pattern, size_t __len, uint32_t __wish,
			      struct static_call_entry *__failed, void *__error);
#endif

#ifdef __cplusplus
}
#endif
#if __STATIC_CALL_GNU
#pragma GCC visibility pop
#endif

#pragma pop_macro("name")
#pragma pop_macro("state")
#pragma pop_macro("info")
#pragma pop_macro("count")
#pragma pop_macro("target")

#endif /* STATIC_CALL_REGISTRY_H */
