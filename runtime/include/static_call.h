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
 * What a key calls
 *   `func` in the macros below gives the key its type. It may be a function, a pointer to one, or the
 *   type of either: `int (int, int)`. Only DEFINE_STATIC_CALL and the updates need a function that exists.
 *
 * Where a key lives
 *   In a file, or `static` in a file or a function. To share one between shared objects built with
 *   -fvisibility=hidden, put __attribute__((visibility("default"))) before DEFINE_STATIC_CALL.
 *   In C++ also in a namespace, or in a class as `static inline DEFINE_STATIC_CALL(key, func);`. From
 *   elsewhere, name both of its parts:
 *
 *     static_call_at(ns::STATIC_CALL_TYPE(key), &ns::STATIC_CALL_KEY(key), arg1, arg2);
 *
 *   In an array or a struct, see STATIC_CALL_INIT.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef STATIC_CALL_H
#define STATIC_CALL_H

#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
#include <type_traits>
#endif

/* Programs built with -fvisibility=hidden find the library's functions all the same. */
#pragma GCC visibility push(default)
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

/* Any function: only its address matters until a call gives it its type back. */
typedef void __static_call_function(void);

struct static_call_key {
	__static_call_function *target; /* what a call reaches now; never NULL */
	void *records;                  /* the images that call this key */
	__static_call_function *off;    /* stands for NULL or "return 0"; NULL if the key has neither */
	const char *name;
	uint32_t form;
	uint32_t flags; /* the form of off, and the layout's version in the upper half */
};

/* The intrinsic. The pass turns a call through its result into a direct call. */
__static_call_function *__static_call_target(const struct static_call_key *key);
extern inline __attribute__((gnu_inline, always_inline, nothrow)) __static_call_function *
__static_call_target(const struct static_call_key *key)
{
	return __atomic_load_n(&key->target, __ATOMIC_ACQUIRE);
}

__attribute__((unused)) static void __static_call_off_nop(void) {}
__attribute__((unused)) static long __static_call_off_zero(void) { return 0; }

int __static_call_update(struct static_call_key *key, __static_call_function *target);
int __static_call_update_ret0(struct static_call_key *key);
__static_call_function *__static_call_query(const struct static_call_key *key);

/* The two parts of a key: an object and a function type. */
#define STATIC_CALL_KEY(key) __STATIC_CALL_PASTE(__static_call_key_, key)
#define STATIC_CALL_TYPE(key) __STATIC_CALL_PASTE(__static_call_type_, key)
#define __STATIC_CALL_PASTE(prefix, key) __STATIC_CALL_PASTE_EXPANDED(prefix, key)
#define __STATIC_CALL_PASTE_EXPANDED(prefix, key) prefix##key
#define __STATIC_CALL_STRING(key) #key

/* What the two languages say differently:
 *   FUNCTION_TYPE(func)   the type of a function, of what a pointer points at, or of a type
 *   CAST(type, f)         a function pointer as one of another type
 *   CHECKED(type, f)      the same for an f that has to be a `type *` or NULL: anything else is an error
 *   REQUIRE_*             errors for keys that could not work, declared beside the key */
#ifdef __cplusplus
}
template <typename T> struct __static_call_result;
template <typename R, typename... A> struct __static_call_result<R(A...)> { typedef R type; };
template <typename R, typename... A> struct __static_call_result<R(A..., ...)> { typedef R type; };
template <typename R, typename... A> struct __static_call_result<R(A...) noexcept> { typedef R type; };
template <typename R, typename... A> struct __static_call_result<R(A..., ...) noexcept> { typedef R type; };
template <typename T, typename R = typename __static_call_result<T>::type>
struct __static_call_returns_register
	: std::integral_constant<bool, std::is_integral<R>::value || std::is_enum<R>::value ||
					       std::is_pointer<R>::value || std::is_null_pointer<R>::value> {};
template <typename T, typename R = typename __static_call_result<T>::type>
struct __static_call_returns_nothing
	: std::integral_constant<bool, std::is_void<R>::value || std::is_scalar<R>::value> {};
template <typename T> constexpr bool __static_call_is_constant(T *) { return true; }
extern "C" {
#define __STATIC_CALL_NULL nullptr
#define __STATIC_CALL_FUNCTION_TYPE(func)                                                           \
	std::remove_pointer_t<std::remove_reference_t<__typeof__(func)>>
#define __STATIC_CALL_CAST(type, f) reinterpret_cast<type *>(f)
#define __STATIC_CALL_CHECKED(type, f) reinterpret_cast<__static_call_function *>(static_cast<type *>(f))
#define __STATIC_CALL_REQUIRE_CONSTANT(func)                                                        \
	static_assert(__static_call_is_constant(func), "a static call key starts with a function");
#define __STATIC_CALL_REQUIRE_NULL(func)                                                            \
	static_assert(__static_call_returns_nothing<__STATIC_CALL_FUNCTION_TYPE(func)>::value,       \
		      "a static call that may be NULL returns void, or a scalar that is ignored");
#define __STATIC_CALL_REQUIRE_RET0(func)                                                            \
	static_assert(__static_call_returns_register<__STATIC_CALL_FUNCTION_TYPE(func)>::value,      \
		      "a static call that may return 0 returns an integer, bool or pointer");
#else
#define __STATIC_CALL_NULL NULL
#define __STATIC_CALL_FUNCTION_TYPE(func) __typeof__(**(__typeof__(func) *)0)
#define __STATIC_CALL_CAST(type, f) ((type *)(f))
/* A `void *` is right if it is NULL, and then takes the type of the other operand. */
#define __STATIC_CALL_CHECKED(type, f)                                                              \
	_Generic((f),                                                                               \
		type *: (__static_call_function *)(f),                                               \
		void *: _Generic(1 ? (f) : (type *)0, type *: (__static_call_function *)0)           \
		__STATIC_CALL_CHECKED_NULLPTR)
#if __STDC_VERSION__ >= 202311L
#define __STATIC_CALL_CHECKED_NULLPTR , __typeof__(nullptr): (__static_call_function *)0
#else
#define __STATIC_CALL_CHECKED_NULLPTR
#endif
#define __STATIC_CALL_REQUIRE_CONSTANT(func)
#define __STATIC_CALL_REQUIRE_NULL(func)
#define __STATIC_CALL_REQUIRE_RET0(func)
#endif

#define __STATIC_CALL_INIT(target_, form_, off_, off_form_, name_)                                  \
	{                                                                                            \
		__STATIC_CALL_CAST(__static_call_function, target_), __STATIC_CALL_NULL,              \
			__STATIC_CALL_CAST(__static_call_function, off_), name_, form_,               \
			off_form_ | (STATIC_CALL_VERSION << 16)                                       \
	}
#define __STATIC_CALL_INIT_CALL(func, name)                                                         \
	__STATIC_CALL_INIT(func, STATIC_CALL_FORM_CALL, __STATIC_CALL_NULL, STATIC_CALL_FORM_CALL, name)
#define __STATIC_CALL_INIT_NULL(name)                                                               \
	__STATIC_CALL_INIT(__static_call_off_nop, STATIC_CALL_FORM_NOP, __static_call_off_nop,       \
			   STATIC_CALL_FORM_NOP, name)
#define __STATIC_CALL_INIT_RET0(name)                                                               \
	__STATIC_CALL_INIT(__static_call_off_zero, STATIC_CALL_FORM_ZERO, __static_call_off_zero,    \
			   STATIC_CALL_FORM_ZERO, name)

#define __STATIC_CALL_TYPEDEF(key, func)                                                            \
	typedef __attribute__((unused)) __STATIC_CALL_FUNCTION_TYPE(func) STATIC_CALL_TYPE(key)

/* ---- Keys ------------------------------------------------------------------------------------- */

/* Declares a key that another file defines. In C++, a key of C code needs no extern "C". */
#define DECLARE_STATIC_CALL(key, func)                                                              \
	extern struct static_call_key STATIC_CALL_KEY(key);                                          \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key that calls func. May be preceded by `static`. */
#define DEFINE_STATIC_CALL(key, func)                                                               \
	struct static_call_key STATIC_CALL_KEY(key) =                                                \
		__STATIC_CALL_INIT_CALL(func, __STATIC_CALL_STRING(key));                             \
	__STATIC_CALL_REQUIRE_CONSTANT(func)                                                         \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key of func's type that calls nothing until it is updated, and again after an update to
 * NULL: a call is a nop. Call it by static_call_cond, since there is no result to be had. In C++, a type
 * that returns an object of a class does not compile. */
#define DEFINE_STATIC_CALL_NULL(key, func)                                                          \
	struct static_call_key STATIC_CALL_KEY(key) =                                                \
		__STATIC_CALL_INIT_NULL(__STATIC_CALL_STRING(key));                                   \
	__STATIC_CALL_REQUIRE_NULL(func)                                                             \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key of func's type whose calls return 0 until it is updated, and again after
 * static_call_update_ret0(). For functions that return an integer of at most a register, bool or a
 * pointer; in C++ others do not compile, C cannot tell. */
#define DEFINE_STATIC_CALL_RET0(key, func)                                                          \
	struct static_call_key STATIC_CALL_KEY(key) =                                                \
		__STATIC_CALL_INIT_RET0(__STATIC_CALL_STRING(key));                                   \
	__STATIC_CALL_REQUIRE_RET0(func)                                                             \
	__STATIC_CALL_TYPEDEF(key, func)

/* Initializers, for keys that lie in an array or a struct:
 *
 *     static struct static_call_key codecs[] = { STATIC_CALL_INIT(encode), STATIC_CALL_INIT(decode) };
 *     static_call_at(encode, &codecs[0], frame);
 *
 * A call is direct where the key's address is a constant; through a variable it loads the pointer. */
#define STATIC_CALL_INIT(func) __STATIC_CALL_INIT_CALL(func, __STATIC_CALL_STRING(func))
#define STATIC_CALL_INIT_NULL __STATIC_CALL_INIT_NULL("NULL")
#define STATIC_CALL_INIT_RET0 __STATIC_CALL_INIT_RET0("RET0")

/* ---- Calls ------------------------------------------------------------------------------------ */

/* Calls the key's function and gives its result: static_call(key, args...). It costs a direct call; without
 * the pass, a load and an indirect call. */
#define static_call(...) __STATIC_CALL_BY_COUNT(__STATIC_CALL_CALL, __VA_ARGS__)(__VA_ARGS__)

/* The same for a key that may be NULL: then the arguments are evaluated and nothing is called. The
 * result, if the type has one, is discarded. */
#define static_call_cond(...) __STATIC_CALL_BY_COUNT(__STATIC_CALL_COND, __VA_ARGS__)(__VA_ARGS__)

/* The function that the key points at, to be called at once: static_call_fn(key)(args...). Kept as a
 * value it is a function pointer, which updates do not reach. */
#define static_call_fn(key) __STATIC_CALL_FN(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key))

/* The same for a key in an array or a struct, with the type that `func` has:
 * static_call_at(func, &table[i], args...). */
#define static_call_at(...) __STATIC_CALL_AT(__VA_ARGS__, __STATIC_CALL_END)
#define static_call_fn_at(func, key) __STATIC_CALL_FN(__STATIC_CALL_FUNCTION_TYPE(func), key)

#define __STATIC_CALL_FN(type, key) __STATIC_CALL_CAST(type, __static_call_target(key))
