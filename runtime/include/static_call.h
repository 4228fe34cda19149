/* static_call.h - direct calls through function pointers that rarely change.
 *
 *     int func_a(int arg1, int arg2);
 *     int func_b(int arg1, int arg2);
 *
 *     DEFINE_STATIC_CALL(my_key, func_a);        // calls func_a to begin with
 *     static_call(my_key, arg1, arg2);           // a direct call
 *     static_call_update(my_key, func_b);        // all of them call func_b from now on
 *
 * C11 and C++17; clang and gcc. Compiled by clang with -fpass-plugin=libstatic_call_pass.so the calls
 * are direct; otherwise they load a function pointer, and everything else stays the same. Link with
 * libstatic_call (pkg-config static-call has all the flags).
 *
 * The names and their meaning are those of Linux's include/linux/static_call.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef STATIC_CALL_H
#define STATIC_CALL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The layout, shared with the pass and the runtime. Not for use by hand. ------------------- */

#define STATIC_CALL_VERSION 1u

enum {
	STATIC_CALL_FORM_CALL = 0,
	STATIC_CALL_FORM_NOP = 1,
	STATIC_CALL_FORM_ZERO = 2,
	STATIC_CALL_FORM_OFF_CALL = 3
};

struct static_call_key {
	void *target;     /* what a call reaches now; never NULL */
	void *records;    /* the images that call this key */
	const void *off;  /* stands for NULL or for "return 0"; NULL if the key has neither */
	const char *name;
	uint32_t form;
	uint32_t flags;   /* the form of off, and the layout's version in the upper half */
};

/* The intrinsic. The pass turns a call through its result into a direct call. */
__attribute__((always_inline, nothrow, unused)) static inline void *
__static_call_target(const struct static_call_key *key)
{
	return __atomic_load_n(&key->target, __ATOMIC_ACQUIRE);
}

__attribute__((unused)) static void __static_call_off_nop(void) {}
__attribute__((unused)) static long __static_call_off_zero(void) { return 0; }

int __static_call_update(struct static_call_key *key, void *target);
int __static_call_update_ret0(struct static_call_key *key);
void *__static_call_query(const struct static_call_key *key);

#define STATIC_CALL_KEY(key) __static_call_key_##key
#define __STATIC_CALL_TYPE(key) __static_call_type_##key

#define __STATIC_CALL_DEFINE(key, func, target_, form_, off_, off_form_)                            \
	struct static_call_key STATIC_CALL_KEY(key) = {                                              \
		(void *)(target_), NULL, (const void *)(off_), #key, (form_),                          \
		(uint32_t)(off_form_) | (STATIC_CALL_VERSION << 16)                                    \
	};                                                                                           \
	typedef __typeof__(func) __STATIC_CALL_TYPE(key)

/* ---- Keys ------------------------------------------------------------------------------------- */

/* Declares a key that another file defines, for functions of func's type. */
#define DECLARE_STATIC_CALL(key, func)                                                              \
	extern struct static_call_key STATIC_CALL_KEY(key);                                          \
	typedef __typeof__(func) __STATIC_CALL_TYPE(key)

/* Defines a key that calls func. May be preceded by `static`. */
#define DEFINE_STATIC_CALL(key, func)                                                               \
	__STATIC_CALL_DEFINE(key, func, func, STATIC_CALL_FORM_CALL, NULL, STATIC_CALL_FORM_CALL)

/* Defines a key of func's type that calls nothing until it is updated, and again after an update to
 * NULL: a call is a nop. func itself need not be defined. */
#define DEFINE_STATIC_CALL_NULL(key, func)                                                          \
	__STATIC_CALL_DEFINE(key, func, __static_call_off_nop, STATIC_CALL_FORM_NOP,                 \
			     __static_call_off_nop, STATIC_CALL_FORM_NOP)

/* Defines a key of func's type whose calls return 0 until it is updated, and again after
 * static_call_update_ret0(). For functions that return an integer, bool or pointer. */
#define DEFINE_STATIC_CALL_RET0(key, func)                                                          \
	__STATIC_CALL_DEFINE(key, func, __static_call_off_zero, STATIC_CALL_FORM_ZERO,               \
			     __static_call_off_zero, STATIC_CALL_FORM_ZERO)

/* ---- Calls ------------------------------------------------------------------------------------ */

/* The function that the key points at, to be called at once: static_call_fn(key)(args...). */
#define static_call_fn(key) ((__STATIC_CALL_TYPE(key) *)__static_call_target(&STATIC_CALL_KEY(key)))

/* Calls the key's function: static_call(key, args...). */
#define static_call(key, ...) (static_call_fn(key)(__VA_ARGS__))

/* The same for a key that may be NULL: then the arguments are evaluated and nothing is called. The
 * result, if the type has one, is discarded. */
#define static_call_cond(key, ...) ((void)static_call_fn(key)(__VA_ARGS__))

/* ---- Queries and updates ----------------------------------------------------------------------- */

/* The key's function, or NULL. */
#define static_call_query(key)                                                                      \
	((__STATIC_CALL_TYPE(key) *)__static_call_query(&STATIC_CALL_KEY(key)))

/* Makes all calls of the key call func: when it returns, every call that starts afterwards, on any
 * thread, reaches func. NULL for a key that DEFINE_STATIC_CALL_NULL made.
 *
 * 0, or a negative errno and nothing has changed: -EINVAL NULL for a key that has no NULL; -EACCES
 * code may not be written any more; -EBUSY called from a signal handler that interrupted an update;
 * -EILSEQ a call's instruction is not what was last written there. */
#ifdef __cplusplus
}
template <typename T> inline int
__static_call_update_typed(struct static_call_key *key, T *target)
{
	return __static_call_update(key, (void *)target);
}
template <typename T> struct __static_call_identity { using type = T; };
#define static_call_update(key, func)                                                               \
	(__static_call_update_typed<__STATIC_CALL_TYPE(key)>(&STATIC_CALL_KEY(key), (func)))
#define __STATIC_CALL_CHECKED(key, func)                                                            \
	((void *)static_cast<__STATIC_CALL_TYPE(key) *>(func))
extern "C" {
#else
/* A function of another type is an error: "not compatible with any generic association". */
#define __STATIC_CALL_CHECKED(key, func)                                                            \
	_Generic((func), __STATIC_CALL_TYPE(key) *: (void *)(func), void *: (void *)(func))
#define static_call_update(key, func)                                                               \
	(__static_call_update(&STATIC_CALL_KEY(key), __STATIC_CALL_CHECKED(key, func)))
#endif

/* Makes all calls of a key that DEFINE_STATIC_CALL_RET0 made return 0. As static_call_update. */
#define static_call_update_ret0(key) (__static_call_update_ret0(&STATIC_CALL_KEY(key)))

/* One change of a transaction; made by STATIC_CALL_CHANGE and STATIC_CALL_CHANGE_RET0. */
struct static_call_change {
	struct static_call_key *key;
	void *target;
	uint32_t form;
};

#define STATIC_CALL_CHANGE(key, func)                                                               \
	{ &STATIC_CALL_KEY(key), __STATIC_CALL_CHECKED(key, func), STATIC_CALL_FORM_CALL }
#define STATIC_CALL_CHANGE_RET0(key) { &STATIC_CALL_KEY(key), NULL, STATIC_CALL_FORM_ZERO }

/* Makes all changes or none, and waits for the other processors only once. No key may appear twice
 * (-EINVAL). Otherwise as static_call_update. Afterwards the array holds what the keys were before, so that
 * the same call undoes it. */
int static_call_update_batch(struct static_call_change *changes, size_t count);

/* ---- Introspection ------------------------------------------------------------------------------ */

enum static_call_mode {
	STATIC_CALL_MODE_GENERIC = 0,    /* a call loads the key's pointer */
	STATIC_CALL_MODE_TRAMPOLINE = 1, /* a call goes through a patched jump */
	STATIC_CALL_MODE_INLINE = 2      /* a call is direct */
};

/* How this process runs static calls, and why not better: a constant sentence. */
enum static_call_mode static_call_mode(void);
const char *static_call_mode_reason(void);

struct static_call_info {
	size_t keys;                 /* for static_call_process_info: records of keys in images */
	size_t sites;                /* recorded call sites */
	size_t direct;               /* that call their target directly, or are a nop */
	size_t through_trampoline;   /* that call the trampoline */
	size_t images;               /* registered executables and shared objects */
};

/* Counts the sites of one key, or of the whole process. Reads every site. */
void __static_call_key_info(const struct static_call_key *key, struct static_call_info *info);
#define static_call_key_info(key, info) (__static_call_key_info(&STATIC_CALL_KEY(key), (info)))
void static_call_process_info(struct static_call_info *info);

#ifdef __cplusplus
}
#endif

#endif /* STATIC_CALL_H */
