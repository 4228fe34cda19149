/* static_call.h - direct calls through function pointers that rarely change.
 *
 *     int func_a(int arg1, int arg2);
 *     int func_b(int arg1, int arg2);
 *
 *     DEFINE_STATIC_CALL(my_key, func_a);                // calls func_a to begin with
 *     static_call(my_key, arg1, arg2);                   // a direct call
 *     int error = static_call_update(my_key, func_b);    // all of them call func_b from now on, if it is 0
 *
 * For C99, C++11 and all later standards, with clang and gcc; for C11, C++17 and later with others, which
 * need STATIC_CALL_WITHOUT_LIBRARY. If clang compiles it with
 * -fpass-plugin=libstatic_call_pass.so, the calls are direct. Otherwise they are direct calls of a jump that
 * updates patch (Linux but POWER, C++17), or they load a function pointer; everything else stays the same.
 * Link with libstatic_call (pkg-config static-call has all the flags).
 *
 * The names and their meaning are those of Linux's include/linux/static_call.h.
 *
 * Overview
 *   keys       DEFINE_STATIC_CALL(key, func)            calls func to begin with
 *              DEFINE_STATIC_CALL_NULL(key, func)       has func's type and calls nothing: a hook that is off
 *              DEFINE_STATIC_CALL_COND(key, func)       calls func to begin with, and may become NULL
 *              DEFINE_STATIC_CALL_RET0(key, func)       has func's type and returns 0
 *              DEFINE_STATIC_CALL_POINTER(key, func)    calls func; static_call_set(key, func) cannot fail
 *              DEFINE_STATIC_CALL_DISPATCH(key, func, resolver)
 *                                                       calls what resolver() returns: a variant of func
 *              DECLARE_STATIC_CALL(key, func)           another file defines it
 *              STATIC_CALL_INIT(func)                   an initializer, in arrays and structs
 *              STATIC_CALL_INIT_COND(func)              the same; ends in _NULL or _RET0 without func
 *              STATIC_CALL_INIT_POINTER(func)           the same, of a key whose setter cannot fail
 *   calls      static_call(key, args...)                a direct call
 *              static_call_cond(key, args...)           the same for a key that may be NULL
 *              static_call_fn(key)(args...)             the kernel's spelling
 *   updates    static_call_update(key, func)            all calls reach func
 *              static_call_update_ret0(key)             all calls return 0
 *              static_call_update_batch(changes, count) several changes or none
 *              STATIC_CALL_CHANGE(key, func)            one of them; _RET0 returns 0
 *              static_call_make_pointer(key)            from now on static_call_set(key, func) cannot fail
 *              static_call_seal()                       no updates any more, and no writable pointers
 *   questions  static_call_query(key)                   what calls reach now
 *              static_call_mode()                       how this process runs calls
 *              static_call_mode_reason()                why not better
 *              static_call_writer()                     how it writes its code
 *              static_call_key_info(key, info)          counts the key's sites
 *              static_call_process_info(info)           counts those of the process
 *   For keys in an array or a struct the names end in _at, and take the type and the key's address.
 *
 * What a key calls
 *   `func` in the macros below gives the key its type. It may be a function, a pointer to one, or the
 *   type of either: `int (int, int)`. Only DEFINE_STATIC_CALL and the updates need a function that exists.
 *
 * Where a key lives
 *   In a file, or `static` in a file or a function. To share one between shared objects built with
 *   -fvisibility=hidden, put __attribute__((visibility("default"))) before DEFINE_STATIC_CALL.
 *   In C++ also in a namespace, or (since C++17) in a class as `static inline DEFINE_STATIC_CALL(key, f);`.
 *   From elsewhere it is named with its scope (a scope with a comma in it needs an alias):
 *
 *     static_call(ns::key, arg1, arg2);
 *     error = static_call_update(ns::key, func_b);
 *
 *   Where the scope depends on a parameter of a template, C++ before C++20 wants to be told which of a key's
 *   two parts is a type:
 *
 *     static_call_at(typename T::STATIC_CALL_TYPE(key), &T::STATIC_CALL_KEY(key), arg1, arg2);
 *
 *   In an array or a struct, see STATIC_CALL_INIT.
 *
 *   In a module of C++20, this header is included before the module's own part (`module;`), and by those who
 *   import it. A key is exported in braces, since it is two declarations; one that is defined outside of all
 *   modules is declared as such. The types are named without `struct`.
 *
 *     export { DEFINE_STATIC_CALL(key, func); }
 *     extern "C++" { DECLARE_STATIC_CALL(key_of_c, int (int)); }
 *
 * Dispatch
 *   A key may call the best variant of a function for the processor, as an ifunc does:
 *
 *     static long sum_plain(const char *p, size_t n);
 *     static long sum_avx2(const char *p, size_t n);  // __attribute__((target("avx2")))
 *     static long (*choose(void))(const char *, size_t)
 *     {
 *         __builtin_cpu_init();                       // for constructors that call the key early
 *         return __builtin_cpu_supports("avx2") ? sum_avx2 : sum_plain;
 *     }
 *     DEFINE_STATIC_CALL_DISPATCH(sum, sum_plain, choose);
 *
 *   See DEFINE_STATIC_CALL_DISPATCH.
 *
 * What to define for it
 *   STATIC_CALL_RETPOLINES        where indirect jumps are retpolines (-mretpoline, -mindirect-branch=,
 *                                 -mlvi-cfi): the header's trampolines are then retpolines as well. No
 *                                 compiler tells, so whoever sets these flags defines it; CMake's package
 *                                 does where CMAKE_C_FLAGS or CMAKE_CXX_FLAGS have them
 *   STATIC_CALL_POINTERS          without the pass, calls load their pointer, as clang's preserve_none
 *                                 functions with more than ten integers need it on x86-64
 *   STATIC_CALL_WITH_PASS         beside -fpass-plugin: the header then leaves out the text of trampolines,
 *                                 which the pass would take out, and clang is done sooner
 *   STATIC_CALL_WITHOUT_LIBRARY   nothing but the header, in all files of the program: calls load their
 *                                 pointer, updates store it, and the seal protects no memory
 *
 * What names it takes
 *   Those that begin with static_call, STATIC_CALL, DEFINE_STATIC_CALL or DECLARE_STATIC_CALL, and names that
 *   are reserved for compilers and libraries (`__name`). Macros of any other name do not disturb it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef STATIC_CALL_H
#define STATIC_CALL_H

#include <stddef.h>
#include <stdint.h>

/* Fields that users name keep their plain names, whatever macros of these names there are. */
#pragma push_macro("keys")
#pragma push_macro("sites")
#pragma push_macro("direct")
#pragma push_macro("through_trampoline")
#pragma push_macro("images")
#pragma push_macro("branches")
#pragma push_macro("patched_branches")
#undef keys
#undef sites
#undef direct
#undef through_trampoline
#undef images
#undef branches
#undef patched_branches

/* Programs built with -fvisibility=hidden find the library's functions all the same. */
#if (defined(__GNUC__) && !defined(__PCC__)) || defined(__clang__)
#define __STATIC_CALL_GNU 1
#pragma GCC visibility push(default)
#else /* see static_call_plain.h */
#define __STATIC_CALL_GNU 0
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- The layout, shared with the pass and the runtime. Not for use by hand. ------------------- */

#define STATIC_CALL_VERSION UINT32_C(2)

enum __static_call_form {
	STATIC_CALL_FORM_CALL = 0,
	STATIC_CALL_FORM_NOP = 1,
	STATIC_CALL_FORM_ZERO = 2,
	STATIC_CALL_FORM_OFF_CALL = 3
};

/* Any function: only its address matters until a call gives it its type back. */
typedef void __static_call_function(void);

/* Each struct is aligned: so -fpack-struct changes none, and an atomic access finds a key's first field
 * aligned, also where other pointers are not. */
#if __STATIC_CALL_GNU
#define __STATIC_CALL_ALIGNED __attribute__((__aligned__(sizeof(void *))))
#else
#define __STATIC_CALL_ALIGNED
#endif

struct __STATIC_CALL_ALIGNED static_call_key {
	__static_call_function *__target; /* what a call reaches now; never NULL */
#if __STATIC_CALL_GNU
	void *__records; /* the images that call this key */
#else
	__static_call_function *__records; /* see __static_call_resolve */
#endif
	__static_call_function *__off; /* stands for NULL or "return 0"; NULL if the key has neither */
	const char *__name;
	uint32_t __form; /* of __target, in the lowest two bits; the next line; the others count the stores */
	uint32_t __flags; /* the form of __off, or the next line's; in the upper half the layout's version */
};
#define __STATIC_CALL_POINTER UINT32_C(0x80000000) /* in __form: no call is ever patched */
#define __STATIC_CALL_DISPATCH UINT32_C(0x6000) /* __off is a resolver without parameters */

/* For the macros: in a module of C++, `struct static_call_key` would declare another struct. */
typedef struct static_call_key __static_call_object;

/* How the library is called, whatever -mregparm and -mrtd say. */
#if __STATIC_CALL_GNU && defined(__i386__)
#define __STATIC_CALL_LIBRARY __attribute__((__cdecl__, __regparm__(0)))
#elif __STATIC_CALL_GNU
#define __STATIC_CALL_LIBRARY
#endif

/* An update that was refused has changed nothing, and its caller has to know. `(void)` silences the warning,
 * except in gcc's C before C23: there only a look does, as `if (static_call_update(key, func)) {}`. */
#if defined(__clang__)
#define __STATIC_CALL_MUST_CHECK __attribute__((__warn_unused_result__))
#elif (defined(__cplusplus) && __cplusplus >= 201103L) || \
	(defined(__STDC_VERSION__) && __STDC_VERSION__ > 201710L)
#define __STATIC_CALL_MUST_CHECK [[__nodiscard__]]
#elif !__STATIC_CALL_GNU
#define __STATIC_CALL_MUST_CHECK
#else
#define __STATIC_CALL_MUST_CHECK __attribute__((__warn_unused_result__))
#endif

#ifdef __cplusplus
#define __STATIC_CALL_NOEXCEPT noexcept
#else
#define __STATIC_CALL_NOEXCEPT
#endif

/* What GNU's extensions are for, in a form that other compilers have another one of. The targets are loaded
 * and stored as one, also while others do. */
#if __STATIC_CALL_GNU
#define __STATIC_CALL_EXTENSION __extension__
#define __STATIC_CALL_INLINE __inline__
#define __STATIC_CALL_UNUSED __attribute__((__unused__))
#define __STATIC_CALL_LOCAL __STATIC_CALL_UNUSED static
#define __STATIC_CALL_TYPE_OF(func) __typeof__(func)
#define __STATIC_CALL_LIKELY(condition, expected) __builtin_expect(condition, expected)
#define __STATIC_CALL_LOAD_RELAXED(target) __atomic_load_n(target, __ATOMIC_RELAXED)
#define __STATIC_CALL_EXCHANGE(target, f) __atomic_exchange_n(target, f, __ATOMIC_ACQ_REL)
#define __STATIC_CALL_EXCHANGE_IF(target, before, f) \
	__atomic_compare_exchange_n(target, before, f, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
#define __STATIC_CALL_IS_SET(flag) __atomic_load_n(flag, __ATOMIC_ACQUIRE)
#define __STATIC_CALL_SET(flag) __atomic_store_n(flag, 1, __ATOMIC_RELEASE)

/* The intrinsic. The pass turns a call through its result into a direct call. Not static, so that inline
 * functions of the user's may call it. */
extern __inline__ __attribute__((__gnu_inline__, __always_inline__, __nothrow__)) __static_call_function *
__static_call_target(const struct static_call_key *__key) __STATIC_CALL_NOEXCEPT
{
	/* Volatile: a compiler that knew the target of a NULL key, and that the call has another convention,
	 * would take the call for one that never happens. */
	__static_call_function *const volatile *__target = &__key->__target;

	return __atomic_load_n(__target, __ATOMIC_ACQUIRE);
}
#else
#include "static_call_plain.h"
#endif

/* The convention of the functions that stand for "off", whatever the key's own convention is: callers of
 * preserve_most functions keep values in registers. */
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__)) && !defined(__SCE__)
#define __STATIC_CALL_HAS_PRESERVE_MOST 1
#define __STATIC_CALL_PRESERVE_MOST __attribute__((__preserve_most__))
#else
#define __STATIC_CALL_HAS_PRESERVE_MOST 0
#define __STATIC_CALL_PRESERVE_MOST
#endif
__STATIC_CALL_PRESERVE_MOST __STATIC_CALL_LOCAL void __static_call_off_nop(void) {}
#if defined(__clang__) && __clang_major__ < 19 /* some restore the register of the result, too */
__STATIC_CALL_LOCAL long long __static_call_off_zero(void)
#else
__STATIC_CALL_PRESERVE_MOST __STATIC_CALL_LOCAL long long __static_call_off_zero(void)
#endif
{
	return 0;
}

__STATIC_CALL_MUST_CHECK __STATIC_CALL_LIBRARY int
__static_call_update(struct static_call_key *__key, __static_call_function *__target);
__STATIC_CALL_MUST_CHECK __STATIC_CALL_LIBRARY int __static_call_update_ret0(struct static_call_key *__key);
__STATIC_CALL_MUST_CHECK __STATIC_CALL_LIBRARY int
__static_call_make_pointer(struct static_call_key *__key, void *__error);
__STATIC_CALL_LIBRARY __static_call_function *__static_call_query(const struct static_call_key *__key);

/* The two parts of a key: an object and a function type. The name comes first, so that C++ may have a scope
 * before it. */
#define STATIC_CALL_KEY(key) __STATIC_CALL_PASTE(key, __static_call_key)
#define STATIC_CALL_TYPE(key) __STATIC_CALL_PASTE(key, __static_call_type)
#define __STATIC_CALL_PASTE(first, second) __STATIC_CALL_PASTE_EXPANDED(first, second)
#define __STATIC_CALL_PASTE_EXPANDED(first, second) first##second
#define __STATIC_CALL_STRING(key) #key

/* What the two languages say differently:
 *   FUNCTION_TYPE(func)   the type of a function, of what a pointer points at, or of a type
 *   CAST(type, f)         a function pointer as one of another type
 *   DISCARD(call)         a call without its result
 *   CHECKED(type, f)      the same for an f that has to be a `type *` or NULL: another type is an error.
 *                         C also takes any `void *`, since NULL is one
 *   RESOLVER(func, f)     a function f without parameters that returns a pointer to a function of func's type
 *   REQUIRE_*             errors for keys that could not work, declared beside the key */
#ifdef __cplusplus
}
extern "C++" {
/* The function type of a function, a pointer or a reference to one. */
/* clang-format off */
template <typename _Type> struct __static_call_referred { typedef _Type __type; };
template <typename _Type> struct __static_call_referred<_Type &> { typedef _Type __type; };
template <typename _Type> struct __static_call_referred<_Type &&> { typedef _Type __type; };
template <typename _Type> struct __static_call_pointed { typedef _Type __type; };
template <typename _Type> struct __static_call_pointed<_Type *> { typedef _Type __type; };
template <typename _Type> struct __static_call_pointed<_Type *const> { typedef _Type __type; };
template <typename _Type> struct __static_call_pointed<_Type *volatile> { typedef _Type __type; };
template <typename _Type> struct __static_call_pointed<_Type *const volatile> { typedef _Type __type; };
/* clang-format on */
template <typename _Type>
using __static_call_function_type =
	typename __static_call_pointed<typename __static_call_referred<_Type>::__type>::__type;
#if !__STATIC_CALL_GNU
/* Without `__typeof__`: of a type, or of a function as a constant. */
template <typename _Type> __static_call_function_type<_Type> *__static_call_type_of();
template <auto _Function> __static_call_function_type<decltype(_Function)> *__static_call_type_of();
#endif

/* What may stand for a function with this result: nothing; one that returns nothing, since the result is
 * ignored; or also one that returns 0 in a register. */
enum __static_call_stand_in { __STATIC_CALL_NONE, __STATIC_CALL_NOP, __STATIC_CALL_ZERO };
template <typename _Result> struct __static_call_result {
	static constexpr __static_call_stand_in __may_be =
		__is_enum(_Result) ? __STATIC_CALL_ZERO : __STATIC_CALL_NONE;
};
template <typename _Type> struct __static_call_result<const _Type> : __static_call_result<_Type> {};
template <typename _Type> struct __static_call_result<volatile _Type> : __static_call_result<_Type> {};
template <typename _Type> struct __static_call_result<const volatile _Type> : __static_call_result<_Type> {};
#define __STATIC_CALL_MAY_BE(stand_in)                                                              \
	{                                                                                           \
		static constexpr __static_call_stand_in __may_be = __STATIC_CALL_##stand_in;        \
	}
template <typename _To> struct __static_call_result<_To *> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<bool> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<char> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<signed char> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<unsigned char> __STATIC_CALL_MAY_BE(ZERO);
#ifdef __cpp_char8_t
template <> struct __static_call_result<char8_t> __STATIC_CALL_MAY_BE(ZERO);
#endif
template <> struct __static_call_result<char16_t> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<char32_t> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<wchar_t> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<short> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<unsigned short> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<int> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<unsigned> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<long> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<unsigned long> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<long long> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<unsigned long long> __STATIC_CALL_MAY_BE(ZERO);
template <> struct __static_call_result<void> __STATIC_CALL_MAY_BE(NOP);
template <> struct __static_call_result<decltype(nullptr)> __STATIC_CALL_MAY_BE(NOP);
template <typename _Of, typename _To> struct __static_call_result<_To _Of::*> __STATIC_CALL_MAY_BE(NOP);
#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 __static_call_int128;
__extension__ typedef unsigned __int128 __static_call_uint128;
template <> struct __static_call_result<__static_call_int128> __STATIC_CALL_MAY_BE(NOP);
template <> struct __static_call_result<__static_call_uint128> __STATIC_CALL_MAY_BE(NOP);
#endif
#ifndef __i386__ /* there the caller removes them from the x87 registers, as long double everywhere */
template <> struct __static_call_result<float> __STATIC_CALL_MAY_BE(NOP);
template <> struct __static_call_result<double> __STATIC_CALL_MAY_BE(NOP);
#endif
#undef __STATIC_CALL_MAY_BE

template <typename _Function> struct __static_call_signature;
template <typename _Result, typename... _Arguments>
struct __static_call_signature<_Result(_Arguments...)> : __static_call_result<_Result> {};
template <typename _Result, typename... _Arguments>
struct __static_call_signature<_Result(_Arguments..., ...)> : __static_call_result<_Result> {};
#ifdef __cpp_noexcept_function_type
template <typename _Result, typename... _Arguments>
struct __static_call_signature<_Result(_Arguments...) noexcept> : __static_call_result<_Result> {};
template <typename _Result, typename... _Arguments>
struct __static_call_signature<_Result(_Arguments..., ...) noexcept> : __static_call_result<_Result> {};
#endif
#if __STATIC_CALL_HAS_PRESERVE_MOST
template <typename _Result, typename... _Arguments>
struct __static_call_signature<__STATIC_CALL_PRESERVE_MOST _Result(_Arguments...)>
    : __static_call_result<_Result> {};
#ifdef __cpp_noexcept_function_type
template <typename _Result, typename... _Arguments>
struct __static_call_signature<__STATIC_CALL_PRESERVE_MOST _Result(_Arguments...) noexcept>
    : __static_call_result<_Result> {};
#endif
#endif
template <typename _Function> constexpr bool __static_call_is_constant(_Function *) { return true; }
template <typename _Type> constexpr _Type *__static_call_checked(_Type *__function) { return __function; }
template <typename _Type> constexpr bool __static_call_is_resolver(_Type *(*)()) { return true; }
template <typename _Type> constexpr bool __static_call_is_resolver(...) { return 0; }
}
extern "C" {
#define __STATIC_CALL_NULL nullptr
#define __STATIC_CALL_FUNCTION_TYPE(func) __static_call_function_type<__STATIC_CALL_TYPE_OF(func)>
/* By way of `void *`, and a comma for a cast: no cast is useless. */
#define __STATIC_CALL_CAST(type, f) reinterpret_cast<type *>(reinterpret_cast<void *>(f))
#define __STATIC_CALL_DISCARD(call) ((call), void())
#define __STATIC_CALL_CHECKED(type, f)                                                              \
	__STATIC_CALL_CAST(__static_call_function, __static_call_checked<type>(f))
#define __STATIC_CALL_RESOLVER(func, f) __STATIC_CALL_CAST(__static_call_function, f)
#define __STATIC_CALL_REQUIRE_RESOLVER(func, f)                                                     \
	static_assert(__static_call_is_resolver<__STATIC_CALL_FUNCTION_TYPE(func)>(f),               \
		      "a resolver takes nothing and returns a pointer to a function of the key's type");
#define __STATIC_CALL_REQUIRE_CONSTANT(func)                                                        \
	static_assert(__static_call_is_constant(func), "a static call key starts with a function");
#define __STATIC_CALL_REQUIRE_NULL(func)                                                            \
	static_assert(__static_call_signature<__STATIC_CALL_FUNCTION_TYPE(func)>::__may_be !=        \
			      __STATIC_CALL_NONE,                                                    \
		      "a static call that may be NULL returns void, or a scalar that is ignored");
#define __STATIC_CALL_REQUIRE_RET0(func)                                                            \
	static_assert(__static_call_signature<__STATIC_CALL_FUNCTION_TYPE(func)>::__may_be ==        \
			      __STATIC_CALL_ZERO,                                                    \
		      "a static call that may return 0 returns an integer, bool or pointer");
#else
#define __STATIC_CALL_NULL ((void *)0)
#define __STATIC_CALL_FUNCTION_TYPE(func) __typeof__(**(__typeof__(func) *)0)
#define __STATIC_CALL_CAST(type, f) ((type *)(f))
#define __STATIC_CALL_DISCARD(call) ((void)(call))
#define __STATIC_CALL_CHECKED(type, f)                                                              \
	__STATIC_CALL_EXTENSION _Generic((f),                                                       \
		type *: (__static_call_function *)(f),                                              \
		void *: (__static_call_function *)(f) __STATIC_CALL_CHECKED_NULLPTR)
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L && !defined(nullptr)
typedef __typeof__(nullptr) __static_call_nullptr;
#define __STATIC_CALL_CHECKED_NULLPTR , __static_call_nullptr: (__static_call_function *)0
#else
#define __STATIC_CALL_CHECKED_NULLPTR
#endif
#define __STATIC_CALL_RESOLVER(func, f)                                                             \
	__STATIC_CALL_EXTENSION _Generic((__typeof__((f)()))0,                                      \
		__STATIC_CALL_FUNCTION_TYPE(func) *: (__static_call_function *)(f))
#define __STATIC_CALL_REQUIRE_RESOLVER(func, f)
#define __STATIC_CALL_REQUIRE_CONSTANT(func)
#define __STATIC_CALL_REQUIRE_NULL(func)
#define __STATIC_CALL_REQUIRE_RET0(func)
#endif

#define __STATIC_CALL_INIT(target, form, off, off_form, name)                                       \
	{ target, __STATIC_CALL_NULL, off, name, form, off_form | (STATIC_CALL_VERSION << 16) }
#define __STATIC_CALL_INIT_CALL(func, name)                                                         \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, func), STATIC_CALL_FORM_CALL, \
			   __STATIC_CALL_NULL, STATIC_CALL_FORM_CALL, name)
#define __STATIC_CALL_INIT_POINTER(func, name)                                                      \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, func),                        \
			   STATIC_CALL_FORM_CALL | __STATIC_CALL_POINTER, __STATIC_CALL_NULL,       \
			   STATIC_CALL_FORM_CALL, name)
/* The fields in their order: the flags of a key without `off`, and a resolver in its place. */
#if __STATIC_CALL_GNU
#define __STATIC_CALL_INIT_DISPATCH(func, resolver, name)                                           \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, func), STATIC_CALL_FORM_CALL, \
			   __STATIC_CALL_RESOLVER(func, resolver), __STATIC_CALL_DISPATCH, name)
#else /* see __static_call_resolve */
#define __STATIC_CALL_INIT_DISPATCH(func, resolver, name)                                           \
	{ __STATIC_CALL_NULL, __STATIC_CALL_CAST(__static_call_function, func),                      \
	  __STATIC_CALL_RESOLVER(func, resolver), name, STATIC_CALL_FORM_CALL,                       \
	  __STATIC_CALL_DISPATCH | (STATIC_CALL_VERSION << 16) }
#endif
#define __STATIC_CALL_INIT_NULL(name)                                                               \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, __static_call_off_nop),       \
			   STATIC_CALL_FORM_NOP,                                                    \
			   __STATIC_CALL_CAST(__static_call_function, __static_call_off_nop),       \
			   STATIC_CALL_FORM_NOP, name)
#define __STATIC_CALL_INIT_COND(func, name)                                                         \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, func), STATIC_CALL_FORM_CALL, \
			   __STATIC_CALL_CAST(__static_call_function, __static_call_off_nop),       \
			   STATIC_CALL_FORM_NOP, name)
#define __STATIC_CALL_INIT_RET0(name)                                                               \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, __static_call_off_zero),      \
			   STATIC_CALL_FORM_ZERO,                                                   \
			   __STATIC_CALL_CAST(__static_call_function, __static_call_off_zero),      \
			   STATIC_CALL_FORM_ZERO, name)

/* Declaring a key and then defining it repeats the typedef. In C99 that is an extension, about which clang
 * warns even after __extension__. */
#if defined(__clang__) && !defined(__cplusplus) && !(defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L)
#define __STATIC_CALL_REPEATABLE                                                                    \
	_Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wtypedef-redefinition\"")
#define __STATIC_CALL_REPEATABLE_END _Pragma("clang diagnostic pop")
#else
#define __STATIC_CALL_REPEATABLE __STATIC_CALL_EXTENSION
#define __STATIC_CALL_REPEATABLE_END
#endif
#define __STATIC_CALL_TYPEDEF(key, func)                                                            \
	__STATIC_CALL_REPEATABLE typedef __STATIC_CALL_UNUSED                                        \
	__STATIC_CALL_FUNCTION_TYPE(func) STATIC_CALL_TYPE(key) __STATIC_CALL_REPEATABLE_END

/* ---- Trampolines, for compilers without the pass ----------------------------------------------- */

/* A call is a direct call of a trampoline: assembler that stands in the function with the call and goes to
 * a section of its own, once in a file. The compiler tells it the key's symbol (%0) and the trampoline's
 * (%1), so it may choose either: in C++, and when it optimizes several files as one. In C, files share the
 * trampoline (%2) of a key that they declare. Otherwise the key may be static, and the trampoline is the
 * file's own; the file's name keeps it apart from others that are optimized together. The pass takes all
 * this out again.
 *
 * clang takes a trampoline for an array, which needs no type. These calls load the pointer:
 *   - those of keys in functions (assembler cannot know their names), in arrays and in structs
 *   - all of C++ before C++17, where keys in functions cannot be arguments of templates
 *   - in i686's position-independent code, where each register may have an argument; and in Thumb code
 *   - with gcc on Arm, in position-independent code, those of keys that the file does not declare, and all of
 *     C++: the compiler tells no name there
 *   - where calls are checked or hardened (kcfi, speculative load hardening), or do not reach all code. */
#include "static_call_trampoline.h"

/* The letter by which x86's compilers print a symbol as it is. */
#ifdef __clang__
#define __STATIC_CALL_PLAIN "c"
#else
#define __STATIC_CALL_PLAIN "p"
#endif

/* An older clang's assembler describes no frame within that of another function, and wants the arguments of a
 * section in another order than GNU as. There a linker cannot drop a trampoline that nobody calls. */
#if defined(__clang__) && __clang_major__ < 19
#define __STATIC_CALL_CFI(directive)
#define __STATIC_CALL_IN_GROUP(linked, group) "\"awG\", %%progbits, " group ", comdat"
#else
#define __STATIC_CALL_CFI(directive) directive
#define __STATIC_CALL_IN_GROUP(linked, group) "\"awoG\", %%progbits, " linked ", " group ", comdat"
#endif

/* Whether there is assembler that suits the compiler and its flags, for branches and perhaps trampolines. */
#if !defined(__STATIC_CALL_ASM_KEY) || defined(STATIC_CALL_POINTERS) ||                                    \
	defined(STATIC_CALL_WITHOUT_LIBRARY) || !defined(__ELF__) || !defined(__linux__) ||                \
	defined(__code_model_large__) || defined(__code_model_medium__) ||                                 \
	defined(__AARCH64_CMODEL_LARGE__) || defined(__riscv_cmodel_large) || defined(__INTEL_COMPILER) || \
	defined(__TINYC__) || defined(__CUDACC__)
#define __STATIC_CALL_ASSEMBLER 0
#elif defined(__s390x__) && defined(STATIC_CALL_RETPOLINES) /* there is no text for them */
#define __STATIC_CALL_ASSEMBLER 0
#elif defined(__cplusplus) && __cplusplus < 201703L
#define __STATIC_CALL_ASSEMBLER 0
#elif defined(__clang__)
#if __clang_major__ < 14 || __has_feature(__kcfi__) || __has_feature(__speculative_load_hardening__) || \
	__has_feature(__cfi_sanitizer__)
#define __STATIC_CALL_ASSEMBLER 0
#else
#define __STATIC_CALL_ASSEMBLER 1
#if defined(__x86_64__) || defined(__i386__)
#define __STATIC_CALL_SYMBOL "s"
#elif defined(__aarch64__) && __clang_major__ >= 19
#define __STATIC_CALL_SYMBOL "S"
#else /* where "S" is not there, or takes no symbol with an offset, which static keys become */
#define __STATIC_CALL_SYMBOL "i"
#endif
#endif
#elif defined(__arm__) && defined(__PIC__) && defined(__cplusplus)
#define __STATIC_CALL_ASSEMBLER 0
#else
#define __STATIC_CALL_ASSEMBLER (__GNUC__ >= 12)
/* "i" where the compiler takes any symbol for one. Otherwise the architecture's own constraint; or "X", for
 * anything, on x86, where symbols have no anchors that an optimizer would write instead. */
#if defined(__aarch64__)
#define __STATIC_CALL_SYMBOL "S"
#elif defined(__s390x__)
#define __STATIC_CALL_SYMBOL "jdd"
#elif defined(__x86_64__) && defined(__PIC__) /* a link may make code for a program that of a library */
#define __STATIC_CALL_SYMBOL "X"
#elif !defined(__PIC__) || !defined(__arm__)
#define __STATIC_CALL_SYMBOL "i"
#endif
#endif

/* POWER has branches alone: nothing restores its register 2 behind a call of a trampoline. The pass takes
 * trampolines out again, and most of clang's time for a call goes into reading their text. */
#if __STATIC_CALL_ASSEMBLER && defined(__STATIC_CALL_ASM_BEGIN) && !defined(STATIC_CALL_WITH_PASS)
#define __STATIC_CALL_TRAMPOLINES 1
#else
#define __STATIC_CALL_TRAMPOLINES 0
#endif

#if __STATIC_CALL_TRAMPOLINES
#if defined(STATIC_CALL_RETPOLINES) && defined(__STATIC_CALL_ASM_FAR_THUNK) && defined(__PIC__)
#define __STATIC_CALL_ASM(key)                                                                      \
	__STATIC_CALL_ASM_BEGIN(key)                                                                 \
	__STATIC_CALL_ASM_FAR_THUNK(key) __STATIC_CALL_ASM_END(key, __STATIC_CALL_SIGNATURE_THUNK)
#elif defined(STATIC_CALL_RETPOLINES) && defined(__STATIC_CALL_ASM_NEAR_THUNK)
#define __STATIC_CALL_ASM(key)                                                                      \
	__STATIC_CALL_ASM_BEGIN(key)                                                                 \
	__STATIC_CALL_ASM_NEAR_THUNK(key) __STATIC_CALL_ASM_END(key, __STATIC_CALL_SIGNATURE_THUNK)
#elif defined(__PIC__)
#define __STATIC_CALL_ASM(key)                                                                      \
	__STATIC_CALL_ASM_BEGIN(key)                                                                 \
	__STATIC_CALL_ASM_FAR(key) __STATIC_CALL_ASM_END(key, __STATIC_CALL_SIGNATURE)
#else
#define __STATIC_CALL_ASM(key)                                                                      \
	__STATIC_CALL_ASM_BEGIN(key)                                                                 \
	__STATIC_CALL_ASM_NEAR(key) __STATIC_CALL_ASM_END(key, __STATIC_CALL_SIGNATURE)
#endif
#endif

#if __STATIC_CALL_TRAMPOLINES && defined(__cplusplus)
extern "C++" {
template <size_t _Size> constexpr __UINT64_TYPE__ __static_call_hash(const char (&__text)[_Size])
{
	__UINT64_TYPE__ __hash = 14695981039346656037U;
	for (const char __byte : __text)
		__hash = (__hash ^ static_cast<unsigned char>(__byte)) * 1099511628211U;
	return __hash;
}
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-internal"
template <__static_call_object *_Key, __UINT64_TYPE__ _File>
struct __attribute__((__visibility__("hidden"))) __static_call_trampoline {
	static const char __code;
};
#define __STATIC_CALL_CODE(key, at_line, file) __static_call_trampoline<key, file>::__code
#define __STATIC_CALL_LINE(key) 0
#define __STATIC_CALL_PLACE_0(key)
#define __STATIC_CALL_PLACE_1(key)
#else
/* gcc would call an array through a register. Nor may the function be one that the file alone knows, as that
 * of a static key would be: gcc warns of those that nobody defines, and does not optimize them as a part of
 * several files. So hashes tell trampolines apart: of the key as it is printed, of its line, since it is
 * printed alike in blocks of one function, and of the file. */
template <__UINT64_TYPE__ _Key, __UINT64_TYPE__ _Line, __UINT64_TYPE__ _File>
__attribute__((__visibility__("hidden"))) void __static_call_trampoline();
template <__static_call_object *_Key> constexpr __UINT64_TYPE__ __static_call_name()
{
	return __static_call_hash(__PRETTY_FUNCTION__);
}
template <typename _Place>
constexpr __UINT64_TYPE__ __static_call_line(_Place *, decltype(int(_Place::__static_call_line)))
{
	return _Place::__static_call_line;
}
template <typename _Place> constexpr __UINT64_TYPE__ __static_call_line(_Place *, ...) { return 0; }
#define __STATIC_CALL_CODE(key, at_line, file)                                                         \
	__static_call_trampoline<__static_call_name<key>(), at_line, file>
#define __STATIC_CALL_PLACE(key) __STATIC_CALL_PASTE(key, __static_call_place)
#define __STATIC_CALL_LINE(key) __static_call_line(static_cast<__STATIC_CALL_PLACE(key) *>(nullptr), 0)
#define __STATIC_CALL_PLACE_0(key)                                                                  \
	struct __STATIC_CALL_PLACE(key) {                                                            \
		enum : __UINT64_TYPE__ { __static_call_line = __LINE__ };                            \
	};
#define __STATIC_CALL_PLACE_1(key) struct __STATIC_CALL_PLACE(key);
#endif
template <__static_call_object *_Key, __UINT64_TYPE__ _Line, __UINT64_TYPE__ _File>
__attribute__((__always_inline__, __visibility__("hidden"))) __inline__ void __static_call_write() noexcept
{
	__asm__ __inline__(__STATIC_CALL_ASM(__STATIC_CALL_ASM_KEY)
			   :
			   : __STATIC_CALL_SYMBOL(_Key),
			     __STATIC_CALL_SYMBOL(&(__STATIC_CALL_CODE(_Key, _Line, _File))), "i"(0));
}
#ifdef __clang__
#pragma clang diagnostic pop
#endif
}
#define __STATIC_CALL_TRAMPOLINES_OF(key, func, size, is_declared) __STATIC_CALL_PLACE_##is_declared(key)
#define __STATIC_CALL_ARGUMENTS(key)                                                                \
	&STATIC_CALL_KEY(key), __STATIC_CALL_LINE(key), __static_call_hash(__BASE_FILE__)
#define __STATIC_CALL_WRITE(key) __static_call_write<__STATIC_CALL_ARGUMENTS(key)>()
#define __STATIC_CALL_CALLEE(key)                                                                   \
	__STATIC_CALL_CAST(STATIC_CALL_TYPE(key),                                                    \
			   reinterpret_cast<__UINTPTR_TYPE__>(                                              \
				   &__STATIC_CALL_CODE_OF(__STATIC_CALL_ARGUMENTS(key))))
#define __STATIC_CALL_CODE_OF(...) __STATIC_CALL_CODE(__VA_ARGS__)
#elif __STATIC_CALL_TRAMPOLINES
/* gcc writes the name as it stands. LoongArch's GNU as takes no file's name in one. */
#ifdef __clang__
#define __STATIC_CALL_QUOTE ""
#define __STATIC_CALL_FILE __BASE_FILE__
#elif defined(__loongarch__)
#define __STATIC_CALL_QUOTE ""
#define __STATIC_CALL_FILE "own"
#else
#define __STATIC_CALL_QUOTE "\""
#define __STATIC_CALL_FILE __BASE_FILE__
#endif
#define __STATIC_CALL_HIDDEN __attribute__((__unused__, __visibility__("hidden")))
#define __STATIC_CALL_NAME(key) "__static_call_trampoline." #key "__static_call_key"
#ifdef __clang__
#define __STATIC_CALL_SILENCED                                                                      \
	_Pragma("clang diagnostic push")                                                             \
	_Pragma("clang diagnostic ignored \"-Wpredefined-identifier-outside-function\"")             \
	_Pragma("clang diagnostic ignored \"-Wtypedef-redefinition\"")
#define __STATIC_CALL_SILENCED_END _Pragma("clang diagnostic pop")
#else
#define __STATIC_CALL_SILENCED                                                                      \
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wredundant-decls\"")        \
	_Pragma("GCC diagnostic ignored \"-Wnested-externs\"")
#define __STATIC_CALL_SILENCED_END _Pragma("GCC diagnostic pop")
#endif
/* gcc keeps the address of an array in a register in loops, and calls that. So it gets a function, whose type
 * must not differ from that of another function's key with the same name. */
#ifdef __clang__
#define __STATIC_CALL_EXTERN(func, is_typed) extern __STATIC_CALL_HIDDEN const char
#define __STATIC_CALL_SIZE []
#define __STATIC_CALL_AS(type, code) ((type *)(__UINTPTR_TYPE__)(code))
#else
#define __STATIC_CALL_EXTERN(func, is_typed)                                                        \
	extern __STATIC_CALL_HIDDEN __typeof__(*__builtin_choose_expr(                               \
		is_typed, (__STATIC_CALL_FUNCTION_TYPE(func) *)0, (__static_call_function *)0))
#define __STATIC_CALL_SIZE
#define __STATIC_CALL_AS(type, code) (code)
#endif
#define __STATIC_CALL_IN_FILE (__extension__ sizeof(__FUNCTION__) == 1)
/* Both names, since the file may declare the key and define it. The size tells whether it declares it, and
 * the name of the function whether it defines it in one. */
#define __STATIC_CALL_TRAMPOLINES_OF(key, func, size, is_declared)                                  \
	__STATIC_CALL_SILENCED                                                                       \
	__STATIC_CALL_EXTERN(func, is_declared || __STATIC_CALL_IN_FILE)                             \
	key##__static_call_shared __STATIC_CALL_SIZE __asm__(                                        \
		__STATIC_CALL_QUOTE __STATIC_CALL_NAME(key) __STATIC_CALL_QUOTE);                     \
	__STATIC_CALL_EXTERN(func, __STATIC_CALL_IN_FILE)                                            \
	key##__static_call_own __STATIC_CALL_SIZE __asm__(                                           \
		__STATIC_CALL_QUOTE __STATIC_CALL_NAME(key) "." __STATIC_CALL_FILE __STATIC_CALL_QUOTE);   \
	extern __attribute__((__unused__)) char key##__static_call_declared size;                    \
	__extension__ typedef __attribute__((__unused__)) char                                       \
		key##__static_call_in_file[__STATIC_CALL_IN_FILE ? 1 : 2];                            \
	__STATIC_CALL_SILENCED_END
#define __STATIC_CALL_IS_SHARED(key)                                                                \
	(!__builtin_types_compatible_p(__typeof__(key##__static_call_declared), char[1]))
#ifdef __STATIC_CALL_SYMBOL
#define __STATIC_CALL_HAS_OWN(key) (sizeof(key##__static_call_in_file) == 1)
#define __STATIC_CALL_ASM_OF(key) __STATIC_CALL_ASM(__STATIC_CALL_ASM_KEY)
#define __STATIC_CALL_OPERANDS(key)                                                                 \
	__STATIC_CALL_SYMBOL(&key##__static_call_key),                                               \
		__STATIC_CALL_SYMBOL(__builtin_choose_expr(__STATIC_CALL_IS_SHARED(key),              \
							   key##__static_call_shared,                 \
							   key##__static_call_own)),                  \
		"i"(__STATIC_CALL_IS_SHARED(key))
#else
#define __STATIC_CALL_HAS_OWN(key) 0
#define __STATIC_CALL_ASM_OF(key) __STATIC_CALL_ASM(#key "__static_call_key")
#define __STATIC_CALL_OPERANDS(key) "i"(0), "X"(key##__static_call_shared), "i"(1)
#endif
#define __STATIC_CALL_WRITE(key)                                                                    \
	((void)__builtin_choose_expr(__STATIC_CALL_IS_SHARED(key) || __STATIC_CALL_HAS_OWN(key),     \
				     __extension__({                                                 \
					     __asm__ __inline__(__STATIC_CALL_ASM_OF(key)            \
								:                                    \
								: __STATIC_CALL_OPERANDS(key));      \
				     }),                                                             \
				     (void)0))
#define __STATIC_CALL_CALLEE(key)                                                                   \
	__builtin_choose_expr(                                                                       \
		__STATIC_CALL_IS_SHARED(key),                                                        \
		__STATIC_CALL_AS(STATIC_CALL_TYPE(key), key##__static_call_shared),                  \
		__builtin_choose_expr(                                                               \
			__STATIC_CALL_HAS_OWN(key),                                                  \
			__STATIC_CALL_AS(STATIC_CALL_TYPE(key), key##__static_call_own),             \
			__STATIC_CALL_FN(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key))))
#else
#define __STATIC_CALL_TRAMPOLINES_OF(key, func, size, is_declared)
#endif

/* Where assembler has a key's name from the source, the optimizer sees no use of the key. */
#if __STATIC_CALL_TRAMPOLINES && !defined(__STATIC_CALL_SYMBOL)
#define __STATIC_CALL_USED __attribute__((__used__))
#else
#define __STATIC_CALL_USED
#endif

#if __STATIC_CALL_TRAMPOLINES
#define __STATIC_CALL_KEY_CALL(key, arguments)                                                      \
	(__STATIC_CALL_WRITE(key), __STATIC_CALL_CALLEE(key) arguments)
#else
#define __STATIC_CALL_KEY_CALL(key, arguments) (__STATIC_CALL_KEY_FN(key) arguments)
#endif
/* Somebody may keep it as a value, and a trampoline has no landing pad. */
#if __STATIC_CALL_TRAMPOLINES && !defined(__CET__) && !defined(__ARM_FEATURE_BTI_DEFAULT) && \
	!defined(__riscv_landing_pad)
#define __STATIC_CALL_KEY_FN(key) (__STATIC_CALL_WRITE(key), __STATIC_CALL_CALLEE(key))
#else
#define __STATIC_CALL_KEY_FN(key) __STATIC_CALL_FN(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key))
#endif

/* ---- Keys ------------------------------------------------------------------------------------- */

/* Declares a key that another file defines. In C++, a key of C code needs no extern "C". */
#define DECLARE_STATIC_CALL(key, func)                                                              \
	extern __static_call_object STATIC_CALL_KEY(key);                                            \
	__STATIC_CALL_TRAMPOLINES_OF(key, func, [2], 1)                                              \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key that calls func. May be preceded by `static`. */
#define DEFINE_STATIC_CALL(key, func)                                                               \
	__static_call_object STATIC_CALL_KEY(key) __STATIC_CALL_USED =                               \
		__STATIC_CALL_INIT_CALL(func, __STATIC_CALL_STRING(key));                             \
	__STATIC_CALL_REQUIRE_CONSTANT(func)                                                         \
	__STATIC_CALL_TRAMPOLINES_OF(key, func, [], 0)                                               \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key that calls func, and whose calls are never patched: they go through its pointer, and cost
 * what a call through an atomic pointer costs. In return, static_call_set(key, func) cannot fail. */
#define DEFINE_STATIC_CALL_POINTER(key, func)                                                       \
	__static_call_object STATIC_CALL_KEY(key) __STATIC_CALL_USED =                               \
		__STATIC_CALL_INIT_POINTER(func, __STATIC_CALL_STRING(key));                          \
	__STATIC_CALL_REQUIRE_CONSTANT(func)                                                         \
	__STATIC_CALL_TRAMPOLINES_OF(key, func, [], 0)                                               \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key of func's type that calls nothing until it is updated, and again after an update to
 * NULL: a call is a nop. Call it with static_call_cond, since there is no result. func must return (it is not
 * declared noreturn), and must not be called under cfi-icall while it is NULL, because the function that
 * stands for NULL there has no type (nor under kcfi if another compiler than one with the pass compiles the
 * key). In C++, a type that returns an object of a class does not compile.
 * On i686 the function that stands for NULL or "return 0" removes nothing from the stack: so func must not be
 * stdcall, fastcall or thiscall there, and, if it may be NULL, must return no struct and no floating-point
 * number (C++ says so).
 *
 * For a hook in a hot loop, give func clang's __attribute__((preserve_most)): the loop then keeps its values
 * in registers across the nop, and func saves those that it uses. clang has to compile the key as well, and
 * the linker must not bind func lazily. */
#define DEFINE_STATIC_CALL_NULL(key, func)                                                          \
	__static_call_object STATIC_CALL_KEY(key) __STATIC_CALL_USED =                               \
		__STATIC_CALL_INIT_NULL(__STATIC_CALL_STRING(key));                                   \
	__STATIC_CALL_REQUIRE_NULL(func)                                                             \
	__STATIC_CALL_TRAMPOLINES_OF(key, func, [], 0)                                               \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key that calls func, a function, until it is updated, maybe to NULL. Otherwise as
 * DEFINE_STATIC_CALL_NULL. */
#define DEFINE_STATIC_CALL_COND(key, func)                                                          \
	__static_call_object STATIC_CALL_KEY(key) __STATIC_CALL_USED =                               \
		__STATIC_CALL_INIT_COND(func, __STATIC_CALL_STRING(key));                             \
	__STATIC_CALL_REQUIRE_CONSTANT(func)                                                         \
	__STATIC_CALL_REQUIRE_NULL(func)                                                             \
	__STATIC_CALL_TRAMPOLINES_OF(key, func, [], 0)                                               \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key of func's type whose calls return 0 until it is updated, and again after
 * static_call_update_ret0(). For functions that return an integer of at most 64 bits, bool or a
 * pointer; in C++ others do not compile, C cannot tell. */
#define DEFINE_STATIC_CALL_RET0(key, func)                                                          \
	__static_call_object STATIC_CALL_KEY(key) __STATIC_CALL_USED =                               \
		__STATIC_CALL_INIT_RET0(__STATIC_CALL_STRING(key));                                   \
	__STATIC_CALL_REQUIRE_RET0(func)                                                             \
	__STATIC_CALL_TRAMPOLINES_OF(key, func, [], 0)                                               \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key that calls what resolver() returns: a variant of func for this processor. It replaces an
 * ifunc, and works where ifuncs do not: under sanitizers, in static programs, with every C library.
 *
 *   - resolver takes nothing, and returns a pointer to a function of func's type, the same whenever it is
 *     asked; with NULL, the key goes on calling func. It is called when the first image is loaded that calls
 *     the key, before that image's code is patched and before most constructors, and in any case by a
 *     constructor of this file. So it must not rely on constructors (before __builtin_cpu_supports call
 *     __builtin_cpu_init), nor on other static calls being updated: updates by a resolver fail (-EBUSY).
 *   - func runs on every processor, and gives what the variants give: calls of constructors that run earlier
 *     reach it.
 *   - Nothing has to be patched for the choice. So no process can refuse it, and its calls cost the same as a
 *     call of any key: direct with the pass, and otherwise never more than a call through a pointer.
 *
 * At the level of a file or of a namespace; `static` may precede it. Others declare the key with
 * DECLARE_STATIC_CALL, and may update it like any other. A call costs what static_call costs; the choice
 * costs what resolver costs, once. */
#define DEFINE_STATIC_CALL_DISPATCH(key, func, resolver)                                            \
	__static_call_object STATIC_CALL_KEY(key) __STATIC_CALL_USED =                               \
		__STATIC_CALL_INIT_DISPATCH(func, resolver, __STATIC_CALL_STRING(key));               \
	__STATIC_CALL_REQUIRE_CONSTANT(func)                                                         \
	__STATIC_CALL_REQUIRE_RESOLVER(func, resolver)                                               \
	__STATIC_CALL_TRAMPOLINES_OF(key, func, [], 0)                                               \
	__STATIC_CALL_CONSTRUCTOR(key, resolver)                                                     \
	__STATIC_CALL_TYPEDEF(key, func)

#if __STATIC_CALL_GNU
#define __STATIC_CALL_CONSTRUCTOR(key, resolver)                                                    \
	__attribute__((__constructor__)) static void                                                 \
	__STATIC_CALL_PASTE(key, __static_call_constructor)(void)                                    \
	{                                                                                            \
		__STATIC_CALL_RESOLVE(&STATIC_CALL_KEY(key), (resolver)())                            \
	}
#else
#define __STATIC_CALL_CONSTRUCTOR(key, resolver)
#endif

/* Nothing to do if the library has resolved the key, or if the default stays. A refusal means that the
 * process is sealed: then the library does not know the key, or it would have resolved it. So nothing is
 * patched for it, and its memory is not protected. */
#define __STATIC_CALL_RESOLVE(key, func)                                                            \
	if (__atomic_load_n(&(key)->__form, __ATOMIC_RELAXED) <= STATIC_CALL_FORM_OFF_CALL) {        \
		__static_call_function *const __target =                                              \
			__STATIC_CALL_CAST(__static_call_function, func);                             \
		if (__target && __static_call_update(key, __target))                                  \
			__atomic_store_n(&(key)->__target, __target, __ATOMIC_RELEASE);               \
	}

/* Initializers, for keys that lie in an array or a struct:
 *
 *     static struct static_call_key codecs[] = { STATIC_CALL_INIT(encode), STATIC_CALL_INIT(decode) };
 *     static_call_at(encode, &codecs[0], frame);
 *
 * A call is direct where the key's address is a constant; through a variable it loads the pointer. */
#define STATIC_CALL_INIT(func) __STATIC_CALL_INIT_CALL(func, __STATIC_CALL_STRING(func))
#define STATIC_CALL_INIT_COND(func) __STATIC_CALL_INIT_COND(func, __STATIC_CALL_STRING(func))
#define STATIC_CALL_INIT_POINTER(func) __STATIC_CALL_INIT_POINTER(func, __STATIC_CALL_STRING(func))
#define STATIC_CALL_INIT_NULL __STATIC_CALL_INIT_NULL("NULL")
#define STATIC_CALL_INIT_RET0 __STATIC_CALL_INIT_RET0("RET0")

/* ---- Calls ------------------------------------------------------------------------------------ */

/* Calls the key's function and gives its result: static_call(key, args...). Costs a direct call; without the
 * pass a jump more, or a load and an indirect call. */
#define static_call(...) \
	__STATIC_CALL_AGAIN(__STATIC_CALL_BY_COUNT(__STATIC_CALL_CALL_, __VA_ARGS__)(__VA_ARGS__))

/* The same for a key that may be NULL: then the arguments are evaluated and nothing is called, which
 * costs a nop. The result, if the type has one, is discarded. */
#define static_call_cond(...) \
	__STATIC_CALL_AGAIN(__STATIC_CALL_BY_COUNT(__STATIC_CALL_COND_, __VA_ARGS__)(__VA_ARGS__))

/* The function that the key points at, to be called at once: static_call_fn(key)(args...). Kept as a
 * value it is a function pointer, and whether updates reach it depends on the compiler. */
#define static_call_fn(key) __STATIC_CALL_KEY_FN(key)

/* The same for a key in an array or a struct, with the type of `func`:
 * static_call_at(func, &table[0], args...) and static_call_fn_at(func, &table[0])(args...). */
#define static_call_at(...) \
	__STATIC_CALL_AGAIN(__STATIC_CALL_BY_COUNT(__STATIC_CALL_AT_, __VA_ARGS__)(__VA_ARGS__))
#define static_call_fn_at(func, key) __STATIC_CALL_FN(__STATIC_CALL_FUNCTION_TYPE(func), key)

#define __STATIC_CALL_FN(type, key) __STATIC_CALL_CAST(type, __static_call_target(key))
#define __STATIC_CALL_CALL_1(key) __STATIC_CALL_KEY_CALL(key, ())
#define __STATIC_CALL_CALL_2(key, arg) __STATIC_CALL_KEY_CALL(key, (arg))
#define __STATIC_CALL_CALL_3(key, ...) __STATIC_CALL_KEY_CALL(key, (__VA_ARGS__))
#define __STATIC_CALL_COND_1(key) __STATIC_CALL_DISCARD(__STATIC_CALL_KEY_CALL(key, ()))
#define __STATIC_CALL_COND_2(key, arg) __STATIC_CALL_DISCARD(__STATIC_CALL_KEY_CALL(key, (arg)))
#define __STATIC_CALL_COND_3(key, ...) __STATIC_CALL_DISCARD(__STATIC_CALL_KEY_CALL(key, (__VA_ARGS__)))
#define __STATIC_CALL_AT_2(func, key) (static_call_fn_at(func, key)())
#define __STATIC_CALL_AT_3(func, key, ...) (static_call_fn_at(func, key)(__VA_ARGS__))

/* ISO C and C++ want an argument for "...": so the number of all arguments chooses the macro, its name
 * ending in 1, 2, or 3 for 3 to 63. (A number, since no macro can have its name.) */
#define __STATIC_CALL_BY_COUNT(macro, ...)                                                          \
	__STATIC_CALL_PASTE(macro, __STATIC_CALL_COUNT(__VA_ARGS__))
#define __STATIC_CALL_COUNT(...)                                                                    \
	__STATIC_CALL_AGAIN(__STATIC_CALL_64TH(                                                      \
		__VA_ARGS__, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, \
		3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,  \
		3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 1, ~))
/* MSVC's old preprocessor takes `__VA_ARGS__` for one argument until it is looked at again. */
#define __STATIC_CALL_AGAIN(...) __VA_ARGS__
/* clang-format off */
#define __STATIC_CALL_64TH(                                                                         \
	_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, _19, _20,  \
	_21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32, _33, _34, _35, _36, _37, _38,   \
	_39, _40, _41, _42, _43, _44, _45, _46, _47, _48, _49, _50, _51, _52, _53, _54, _55, _56,   \
	_57, _58, _59, _60, _61, _62, _63, found, ...)                                              \
	found
/* clang-format on */

/* ---- Queries and updates ----------------------------------------------------------------------- */

/* The key's function, or NULL. Costs two loads in a library call. */
#define static_call_query(key) __STATIC_CALL_QUERY(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key))
#define static_call_query_at(func, key) __STATIC_CALL_QUERY(__STATIC_CALL_FUNCTION_TYPE(func), key)
#define __STATIC_CALL_QUERY(type, key) __STATIC_CALL_CAST(type, __static_call_query(key))

/* Makes all calls of the key call func: when it returns, every call that starts afterwards, on any
 * thread, reaches func; while it runs, each call reaches the old or the new function. func has the key's
 * type, anything else does not compile; NULL is for a key that DEFINE_STATIC_CALL_NULL or
 * _COND made. May be called at any time, also by the function that the key calls, in signal handlers (it is
 * async-signal-safe: it never waits for what the handler interrupted) and in children of fork.
 *
 * 0, or a negative errno and nothing has changed (compilers warn if it is not looked at):
 *   -EINVAL  NULL for a key that has no NULL
 *   -EACCES  the code may not be written any more, and direct calls would stay as they are
 *   -EBUSY   called from the handler of a fault (SIGSEGV, SIGSYS ...) that interrupted an update on its own
 *            thread; other signals are held off until an update is over
 *   -EPERM   another copy of the runtime, in another image, patches calls of this key
 *   -EILSEQ  a call's instruction is not what was last written there: a breakpoint, another patcher
 *   -EFAULT  code that calls the key is not mapped any more (munmap), or may not be read
 *   -EROFS   static_call_seal was called
 *   -EPROTOTYPE  calls of the key check the type of its function (-fsanitize=kcfi), and func has another one
 *   -EAGAIN  code is written with breakpoints, and a thread or a handler's sa_mask blocks SIGTRAP, or a
 *            debugger is attached
 * After three times -EACCES or -EAGAIN in a row, most updates that are asked for again fail at once,
 * in some hundred nanoseconds and two system calls: for at most some ten milliseconds after it was last
 * tried in earnest.
 * No function here is a cancellation point. None is safe for a thread whose cancellation is asynchronous.
 * STATIC_CALL_LOG=1 prints the reason, with the address of the instruction.
 *
 * Costs some microseconds, and some nanoseconds for each call site. */
#define static_call_update(key, func)                                                               \
	__STATIC_CALL_UPDATE(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key), func)
#define static_call_update_at(type_func, key, func)                                                 \
	__STATIC_CALL_UPDATE(__STATIC_CALL_FUNCTION_TYPE(type_func), key, func)
#define __STATIC_CALL_UPDATE(type, key, func)                                                       \
	(__static_call_update(key, __STATIC_CALL_CHECKED(type, func)))

/* Makes all calls of a key that DEFINE_STATIC_CALL_RET0 made return 0. Otherwise as static_call_update;
 * -EINVAL for any other key. */
#define static_call_update_ret0(key) static_call_update_ret0_at(&STATIC_CALL_KEY(key))
#define static_call_update_ret0_at(key) (__static_call_update_ret0(key))

/* Has all calls of the key go through its pointer from now on, those of images that are loaded later, too.
 * They cost what a call through an atomic pointer costs, and never become direct again. In return,
 * static_call_set cannot fail: a program that is about to give up the right to write its code calls this
 * before. 0, or what static_call_update returns: then calls reach what they reached before. Costs an
 * update. */
#define static_call_make_pointer(key) static_call_make_pointer_at(&STATIC_CALL_KEY(key))
#define static_call_make_pointer_at(key) (__static_call_make_pointer(key, __STATIC_CALL_NULL))

/* Makes all calls reach func, as static_call_update does; of a key that DEFINE_STATIC_CALL_POINTER or
 * static_call_make_pointer made. It has no effect after static_call_seal, which is for this, nor in the
 * handler of a fault that interrupted an update on its own thread. Nothing else can refuse it. Costs some
 * hundred nanoseconds, and interrupts no other thread. */
#define static_call_set(key, func)                                                                  \
	__STATIC_CALL_SET_TARGET(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key), func)
#define static_call_set_at(type_func, key, func)                                                    \
	__STATIC_CALL_SET_TARGET(__STATIC_CALL_FUNCTION_TYPE(type_func), key, func)
#define __STATIC_CALL_SET_TARGET(type, key, func)                                                   \
	((void)!__static_call_update(key, __STATIC_CALL_CHECKED(type, func)))

/* One change of a transaction; made by the macros below. */
struct __STATIC_CALL_ALIGNED static_call_change {
	struct static_call_key *__key;
	__static_call_function *__target;
	uint32_t __form;
	uint32_t __wish; /* what is asked of a branch's key; 0 for all others */
};

#define STATIC_CALL_CHANGE(key, func)                                                               \
	__STATIC_CALL_CHANGE(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key), func)
#define STATIC_CALL_CHANGE_AT(type_func, key, func)                                                 \
	__STATIC_CALL_CHANGE(__STATIC_CALL_FUNCTION_TYPE(type_func), key, func)
#define __STATIC_CALL_CHANGE(type, key, func)                                                       \
	{ key, __STATIC_CALL_CHECKED(type, func), STATIC_CALL_FORM_CALL, 0 }
#define STATIC_CALL_CHANGE_RET0(key) STATIC_CALL_CHANGE_RET0_AT(&STATIC_CALL_KEY(key))
#define STATIC_CALL_CHANGE_RET0_AT(key) { key, __STATIC_CALL_NULL, STATIC_CALL_FORM_ZERO, 0 }

/* Makes all changes or none, and waits for the other processors only once:
 *
 *     struct static_call_change changes[] = {
 *         STATIC_CALL_CHANGE(encode, encode_avx2), STATIC_CALL_CHANGE(decode, decode_avx2)
 *     };
 *     int error = static_call_update_batch(changes, 2);
 *
 * Returns what static_call_update does, and -EINVAL if a key appears twice. After a success the array
 * holds what the keys were before, so that the same call undoes it; of a branch that is its count before,
 * whatever others have counted since. */
__STATIC_CALL_MUST_CHECK __STATIC_CALL_LIBRARY int
static_call_update_batch(struct static_call_change *__changes, size_t __count);

/* Refuses every update from now on, for good, and makes the keys, records and site tables of all images
 * read-only, including those that are loaded later and those that have their own copy of this library. From
 * then on no writable memory decides where a static call goes, and a stray write to a key faults. What the
 * library itself believes is read-only too, except while an image is being loaded.
 *
 * It does not protect against code that can make system calls in the process. It protects neither the
 * program's other pointers, nor an image while it is being loaded. The library does not know of a key that
 * was compiled without the pass and whose pointer is only loaded, nor of images in another namespace
 * (dlmopen): those stay writable, whatever is returned.
 *
 * 0, or
 *   -EACCES  some key could not be made read-only: it lies in a struct of yours, was compiled without the
 *            pass (and somebody has updated it or asked about it) or with another version of it, or the
 *            operating system refused. Updates are refused all the same, and the rest is protected;
 *            STATIC_CALL_LOG=1 names what is not
 *   -EBUSY   called from the handler of a fault that interrupted an update; nothing has changed
 *   -EPROTO  another copy of the runtime, of another version, could not protect a key
 * A second call checks everything again, and its result covers what was loaded since. */
__STATIC_CALL_MUST_CHECK __STATIC_CALL_LIBRARY int static_call_seal(void);

/* ---- Introspection ------------------------------------------------------------------------------ */

enum static_call_mode {
	STATIC_CALL_MODE_GENERIC = 0,    /* a call loads the key's pointer */
	STATIC_CALL_MODE_TRAMPOLINE = 1, /* a call goes through a patched jump */
	STATIC_CALL_MODE_INLINE = 2      /* a call is direct */
};

/* How this process runs static calls, and why not better: a constant sentence. */
__STATIC_CALL_LIBRARY enum static_call_mode static_call_mode(void);
__STATIC_CALL_LIBRARY const char *static_call_mode_reason(void);

enum static_call_writer {
	STATIC_CALL_WRITER_NONE = 0,       /* code is not written: the mode is generic */
	STATIC_CALL_WRITER_WINDOW = 1,     /* its pages are writable and executable while an update runs */
	STATIC_CALL_WRITER_BREAKPOINT = 2, /* through /proc/self/mem, with breakpoints meanwhile */
	STATIC_CALL_WRITER_CUSTOM = 3,     /* the program's own */
	STATIC_CALL_WRITER_ALIAS = 4       /* through a second mapping of its pages */
};

/* How this process writes its code. */
__STATIC_CALL_LIBRARY enum static_call_writer static_call_writer(void);

struct __STATIC_CALL_ALIGNED static_call_info {
	size_t keys;               /* that images use; a key counts once for each of these images */
	size_t sites;              /* recorded call sites, without branches */
	size_t direct;             /* that call their target directly, or are a nop */
	size_t through_trampoline; /* that call the trampoline */
	size_t images;             /* registered executables and shared objects */
	size_t branches;           /* of static_branch.h, and lazy calls; loads are not recorded */
	size_t patched_branches;   /* that are a no-op or a jump; the others look at their key */
};

/* Counts the sites of one key, or of the whole process. Reads every site, and holds up updates meanwhile.
 * All zeros in the handler of a fault that interrupted an update on its own thread. */
#define static_call_key_info(key, info) static_call_key_info_at(&STATIC_CALL_KEY(key), info)
#define static_call_key_info_at(key, info) (__static_call_info(key, info))
__STATIC_CALL_LIBRARY void
__static_call_info(const struct static_call_key *__key, struct static_call_info *__info);
__STATIC_CALL_LIBRARY void static_call_process_info(struct static_call_info *__info);

#ifdef STATIC_CALL_WITHOUT_LIBRARY
#include "static_call_without_library.h"
#endif

#ifdef __cplusplus
}
#endif
#if __STATIC_CALL_GNU
#pragma GCC visibility pop
#endif

#pragma pop_macro("patched_branches")
#pragma pop_macro("branches")
#pragma pop_macro("images")
#pragma pop_macro("through_trampoline")
#pragma pop_macro("direct")
#pragma pop_macro("sites")
#pragma pop_macro("keys")

#endif /* STATIC_CALL_H */
