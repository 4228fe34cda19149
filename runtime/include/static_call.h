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
 *   elsewhere it is named as everything there is (a scope with a comma in it needs an alias):
 *
 *     static_call(ns::key, arg1, arg2);
 *     static_call_update(ns::key, func_b);
 *
 *   Where the scope depends on a parameter of a template, C++17 wants to be told which of a key's two parts is a type:
 *
 *     static_call_at(typename T::STATIC_CALL_TYPE(key), &T::STATIC_CALL_KEY(key), arg1, arg2);
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

#define STATIC_CALL_VERSION UINT32_C(1)

enum {
	STATIC_CALL_FORM_CALL = 0,
	STATIC_CALL_FORM_NOP = 1,
	STATIC_CALL_FORM_ZERO = 2,
	STATIC_CALL_FORM_OFF_CALL = 3
};

/* Any function: only its address matters until a call gives it its type back. */
typedef void __static_call_function(void);

struct static_call_key {
	/* What a call reaches now; never NULL. An atomic access wants it aligned, also where other pointers
	 * are not. */
	__static_call_function *target __attribute__((aligned(sizeof(void *))));
	void *records;                  /* the images that call this key */
	__static_call_function *off;    /* stands for NULL or "return 0"; NULL if the key has neither */
	const char *name;
	uint32_t form;  /* of target, in the lowest two bits; the others count the stores */
	uint32_t flags; /* the form of off, and the layout's version in the upper half */
};

/* How the library is called, whatever -mregparm and -mrtd say. */
#ifdef __i386__
#define __STATIC_CALL_LIBRARY __attribute__((cdecl, regparm(0)))
#else
#define __STATIC_CALL_LIBRARY
#endif

#ifdef __cplusplus
#define __STATIC_CALL_NOEXCEPT noexcept
#else
#define __STATIC_CALL_NOEXCEPT
#endif

/* The intrinsic. The pass turns a call through its result into a direct call. Not static, so that inline
 * functions of the user's may call it. */
extern inline __attribute__((gnu_inline, always_inline, nothrow)) __static_call_function *
__static_call_target(const struct static_call_key *key) __STATIC_CALL_NOEXCEPT
{
	/* Volatile: a compiler that knew what stands for NULL, and that the call has another convention, would take the call
	 * for one that never happens. */
	__static_call_function *const volatile *target = &key->target;

	return __atomic_load_n(target, __ATOMIC_ACQUIRE);
}

/* What is called instead of functions of any convention: callers of preserve_most functions keep values in registers. */
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__)) && !defined(__SCE__)
#define __STATIC_CALL_HAS_PRESERVE_MOST 1
#define __STATIC_CALL_PRESERVE_MOST __attribute__((preserve_most))
#else
#define __STATIC_CALL_HAS_PRESERVE_MOST 0
#define __STATIC_CALL_PRESERVE_MOST
#endif
__STATIC_CALL_PRESERVE_MOST __attribute__((unused)) static void __static_call_off_nop(void) {}
__STATIC_CALL_PRESERVE_MOST __attribute__((unused)) static long long __static_call_off_zero(void) { return 0; }

__STATIC_CALL_LIBRARY int __static_call_update(struct static_call_key *key, __static_call_function *target);
__STATIC_CALL_LIBRARY int __static_call_update_ret0(struct static_call_key *key);
__STATIC_CALL_LIBRARY __static_call_function *__static_call_query(const struct static_call_key *key);

/* The two parts of a key: an object and a function type. The name comes first, so that C++ may have a scope before it. */
#define STATIC_CALL_KEY(key) __STATIC_CALL_PASTE(key, __static_call_key)
#define STATIC_CALL_TYPE(key) __STATIC_CALL_PASTE(key, __static_call_type)
#define __STATIC_CALL_PASTE(first, second) __STATIC_CALL_PASTE_EXPANDED(first, second)
#define __STATIC_CALL_PASTE_EXPANDED(first, second) first##second
#define __STATIC_CALL_STRING(key) #key

/* What the two languages say differently:
 *   FUNCTION_TYPE(func)   the type of a function, of what a pointer points at, or of a type
 *   CAST(type, f)         a function pointer as one of another type
 *   CHECKED(type, f)      the same for an f that has to be a `type *` or NULL: another type is an error.
 *                         C also takes any `void *`, since NULL is one
 *   DISCARD(call)         a call without its result
 *   REQUIRE_*             errors for keys that could not work, declared beside the key */
#ifdef __cplusplus
}
template <typename _Function> struct __static_call_result;
template <typename _Result, typename... _Arguments>
struct __static_call_result<_Result(_Arguments...)> { typedef _Result type; };
template <typename _Result, typename... _Arguments>
struct __static_call_result<_Result(_Arguments..., ...)> { typedef _Result type; };
template <typename _Result, typename... _Arguments>
struct __static_call_result<_Result(_Arguments...) noexcept> { typedef _Result type; };
template <typename _Result, typename... _Arguments>
struct __static_call_result<_Result(_Arguments..., ...) noexcept> { typedef _Result type; };
#if __STATIC_CALL_HAS_PRESERVE_MOST
template <typename _Result, typename... _Arguments>
struct __static_call_result<__STATIC_CALL_PRESERVE_MOST _Result(_Arguments...)> { typedef _Result type; };
template <typename _Result, typename... _Arguments>
struct __static_call_result<__STATIC_CALL_PRESERVE_MOST _Result(_Arguments...) noexcept> { typedef _Result type; };
#endif
/* Results that the caller removes from the x87 registers. */
template <typename _Result>
constexpr bool __static_call_returns_x87 =
#ifdef __i386__
	std::is_floating_point<_Result>::value;
#else
	std::is_same<_Result, long double>::value;
#endif
template <typename _Function, typename _Result = typename __static_call_result<_Function>::type>
constexpr bool __static_call_returns_nothing =
	std::is_void<_Result>::value || (std::is_scalar<_Result>::value && !__static_call_returns_x87<_Result>);
template <typename _Function, typename _Result = typename __static_call_result<_Function>::type>
constexpr bool __static_call_returns_register =
	(std::is_integral<_Result>::value || std::is_enum<_Result>::value || std::is_pointer<_Result>::value) &&
	sizeof(std::conditional_t<std::is_scalar<_Result>::value, _Result, int>) <= sizeof(long long);
template <typename _Function> constexpr bool __static_call_is_constant(_Function *) { return true; }
extern "C" {
#define __STATIC_CALL_NULL nullptr
#define __STATIC_CALL_FUNCTION_TYPE(func)                                                           \
	std::remove_pointer_t<std::remove_reference_t<__typeof__(func)>>
#define __STATIC_CALL_CAST(type, f) reinterpret_cast<type *>(f)
#define __STATIC_CALL_DISCARD(call) static_cast<void>(call)
#define __STATIC_CALL_CHECKED(type, f) reinterpret_cast<__static_call_function *>(static_cast<type *>(f))
#define __STATIC_CALL_REQUIRE_CONSTANT(func)                                                        \
	static_assert(__static_call_is_constant(func), "a static call key starts with a function");
#define __STATIC_CALL_REQUIRE_NULL(func)                                                            \
	static_assert(__static_call_returns_nothing<__STATIC_CALL_FUNCTION_TYPE(func)>,              \
		      "a static call that may be NULL returns void, or a scalar that is ignored");
#define __STATIC_CALL_REQUIRE_RET0(func)                                                            \
	static_assert(__static_call_returns_register<__STATIC_CALL_FUNCTION_TYPE(func)>,             \
		      "a static call that may return 0 returns an integer, bool or pointer");
#else
#define __STATIC_CALL_NULL NULL
#define __STATIC_CALL_FUNCTION_TYPE(func) __typeof__(**(__typeof__(func) *)0)
#define __STATIC_CALL_CAST(type, f) ((type *)(f))
#define __STATIC_CALL_DISCARD(call) ((void)(call))
#define __STATIC_CALL_CHECKED(type, f)                                                              \
	_Generic((f),                                                                               \
		type *: (__static_call_function *)(f),                                              \
		void *: (__static_call_function *)(f) __STATIC_CALL_CHECKED_NULLPTR)
#if __STDC_VERSION__ >= 202311L
#define __STATIC_CALL_CHECKED_NULLPTR , __typeof__(nullptr): (__static_call_function *)0
#else
#define __STATIC_CALL_CHECKED_NULLPTR
#endif
#define __STATIC_CALL_REQUIRE_CONSTANT(func)
#define __STATIC_CALL_REQUIRE_NULL(func)
#define __STATIC_CALL_REQUIRE_RET0(func)
#endif

#define __STATIC_CALL_INIT(target, form, off, off_form, name)                                       \
	{ target, __STATIC_CALL_NULL, off, name, form, off_form | (STATIC_CALL_VERSION << 16) }
#define __STATIC_CALL_INIT_CALL(func, name)                                                         \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, func), STATIC_CALL_FORM_CALL, \
			   __STATIC_CALL_NULL, STATIC_CALL_FORM_CALL, name)
#define __STATIC_CALL_INIT_NULL(name)                                                               \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, __static_call_off_nop),       \
			   STATIC_CALL_FORM_NOP,                                                    \
			   __STATIC_CALL_CAST(__static_call_function, __static_call_off_nop),       \
			   STATIC_CALL_FORM_NOP, name)
#define __STATIC_CALL_INIT_RET0(name)                                                               \
	__STATIC_CALL_INIT(__STATIC_CALL_CAST(__static_call_function, __static_call_off_zero),      \
			   STATIC_CALL_FORM_ZERO,                                                   \
			   __STATIC_CALL_CAST(__static_call_function, __static_call_off_zero),      \
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
 * NULL: a call is a nop. Call it by static_call_cond, since there is no result to be had. func returns, that
 * is, it is not declared noreturn; and it is not called under kcfi or cfi-icall while it is NULL, since what
 * stands for NULL there has no type. In C++, a type
 * that returns an object of a class does not compile. On i686 what stands for NULL or "return 0" removes nothing
 * from any stack: so func is not stdcall, fastcall or thiscall there, and, if it may be NULL, returns no struct
 * and no floating-point number (C++ says so).
 *
 * For a hook in a hot loop, give func clang's __attribute__((preserve_most)): the loop then keeps its values in
 * registers across the nop, and func saves those that it uses. clang has to compile the key as well, and the linker must
 * not bind func lazily. */
#define DEFINE_STATIC_CALL_NULL(key, func)                                                          \
	struct static_call_key STATIC_CALL_KEY(key) =                                                \
		__STATIC_CALL_INIT_NULL(__STATIC_CALL_STRING(key));                                   \
	__STATIC_CALL_REQUIRE_NULL(func)                                                             \
	__STATIC_CALL_TYPEDEF(key, func)

/* Defines a key of func's type whose calls return 0 until it is updated, and again after
 * static_call_update_ret0(). For functions that return an integer of at most 64 bits, bool or a
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

/* Calls the key's function and gives its result: static_call(key, args...). Costs a direct call; without the
 * pass, a load and an indirect call. */
#define static_call(...) __STATIC_CALL_BY_COUNT(__STATIC_CALL_CALL_, __VA_ARGS__)(__VA_ARGS__)

/* The same for a key that may be NULL: then the arguments are evaluated and nothing is called, which
 * costs a nop. The result, if the type has one, is discarded. */
#define static_call_cond(...) __STATIC_CALL_BY_COUNT(__STATIC_CALL_COND_, __VA_ARGS__)(__VA_ARGS__)

/* The function that the key points at, to be called at once: static_call_fn(key)(args...). Kept as a
 * value it is a function pointer, which updates do not reach. */
#define static_call_fn(key) __STATIC_CALL_FN(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key))

/* The same for a key in an array or a struct, with the type of `func`:
 * static_call_at(func, &table[0], args...) and static_call_fn_at(func, &table[0])(args...). */
#define static_call_at(...) __STATIC_CALL_BY_COUNT(__STATIC_CALL_AT_, __VA_ARGS__)(__VA_ARGS__)
#define static_call_fn_at(func, key) __STATIC_CALL_FN(__STATIC_CALL_FUNCTION_TYPE(func), key)

#define __STATIC_CALL_FN(type, key) __STATIC_CALL_CAST(type, __static_call_target(key))
#define __STATIC_CALL_CALL_1(key) (static_call_fn(key)())
#define __STATIC_CALL_CALL_2(key, arg) (static_call_fn(key)(arg))
#define __STATIC_CALL_CALL_N(key, ...) (static_call_fn(key)(__VA_ARGS__))
#define __STATIC_CALL_COND_1(key) __STATIC_CALL_DISCARD(static_call_fn(key)())
#define __STATIC_CALL_COND_2(key, arg) __STATIC_CALL_DISCARD(static_call_fn(key)(arg))
#define __STATIC_CALL_COND_N(key, ...) __STATIC_CALL_DISCARD(static_call_fn(key)(__VA_ARGS__))
#define __STATIC_CALL_AT_2(func, key) (static_call_fn_at(func, key)())
#define __STATIC_CALL_AT_N(func, key, ...) (static_call_fn_at(func, key)(__VA_ARGS__))

/* ISO C and C++ want an argument for "...": so the number of all arguments chooses the macro, its name
 * ending in 1, 2, or N for 3 to 63. */
#define __STATIC_CALL_BY_COUNT(macro, ...)                                                          \
	__STATIC_CALL_PASTE(macro, __STATIC_CALL_COUNT(__VA_ARGS__))
#define __STATIC_CALL_COUNT(...)                                                                    \
	__STATIC_CALL_64TH(__VA_ARGS__, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,     \
			   N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,                 \
			   N, N, N, N, N, N, N, N, N, N, N, N, N, N, 2, 1, ~)
#define __STATIC_CALL_64TH(                                                                         \
	_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, _19, _20,         \
	_21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32, _33, _34, _35, _36, _37, _38,          \
	_39, _40, _41, _42, _43, _44, _45, _46, _47, _48, _49, _50, _51, _52, _53, _54, _55, _56,          \
	_57, _58, _59, _60, _61, _62, _63, found, ...)                                                     \
	found

/* ---- Queries and updates ----------------------------------------------------------------------- */

/* The key's function, or NULL. Costs two loads in a library call. */
#define static_call_query(key) __STATIC_CALL_QUERY(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key))
#define static_call_query_at(func, key) __STATIC_CALL_QUERY(__STATIC_CALL_FUNCTION_TYPE(func), key)
#define __STATIC_CALL_QUERY(type, key) __STATIC_CALL_CAST(type, __static_call_query(key))

/* Makes all calls of the key call func: when it returns, every call that starts afterwards, on any
 * thread, reaches func; while it runs, each call reaches the old or the new function. func has the key's
 * type, anything else does not compile; NULL is for a key that DEFINE_STATIC_CALL_NULL made. May be
 * called at any time, also by the function that the key calls.
 *
 * 0, or a negative errno and nothing has changed:
 *   -EINVAL  NULL for a key that has no NULL
 *   -EACCES  the code may not be written any more, and direct calls would stay as they are
 *   -EBUSY   called from a signal handler that interrupted an update on its own thread
 *   -EPERM   another copy of the runtime, in another image, patches calls of this key
 *   -EILSEQ  a call's instruction is not what was last written there: a breakpoint, another patcher
 *   -EROFS   static_call_seal was called
 *   -EAGAIN  code is written with breakpoints, and a thread or a handler's sa_mask blocks SIGTRAP, or a
 *            debugger is attached
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

/* One change of a transaction; made by the macros below. */
struct static_call_change {
	struct static_call_key *key;
	__static_call_function *target;
	uint32_t form;
};

#define STATIC_CALL_CHANGE(key, func)                                                               \
	__STATIC_CALL_CHANGE(STATIC_CALL_TYPE(key), &STATIC_CALL_KEY(key), func)
#define STATIC_CALL_CHANGE_AT(type_func, key, func)                                                 \
	__STATIC_CALL_CHANGE(__STATIC_CALL_FUNCTION_TYPE(type_func), key, func)
#define __STATIC_CALL_CHANGE(type, key, func)                                                       \
	{ key, __STATIC_CALL_CHECKED(type, func), STATIC_CALL_FORM_CALL }
#define STATIC_CALL_CHANGE_RET0(key) STATIC_CALL_CHANGE_RET0_AT(&STATIC_CALL_KEY(key))
#define STATIC_CALL_CHANGE_RET0_AT(key) { key, __STATIC_CALL_NULL, STATIC_CALL_FORM_ZERO }

/* Makes all changes or none, and waits for the other processors only once:
 *
 *     struct static_call_change changes[] = {
 *         STATIC_CALL_CHANGE(encode, encode_avx2), STATIC_CALL_CHANGE(decode, decode_avx2)
 *     };
 *     int error = static_call_update_batch(changes, 2);
 *
 * Returns what static_call_update does, and -EINVAL if a key appears twice. After a success the array
 * holds what the keys were before, so that the same call undoes it. */
__STATIC_CALL_LIBRARY int static_call_update_batch(struct static_call_change *changes, size_t count);

/* Refuses every update from now on, for good, and makes the keys, records and site tables of all images
 * read-only, also of those that are loaded later (if one of their keys cannot be, STATIC_CALL_LOG=1 says so): no
 * writable memory decides any more where a static call goes, and a stray write to a key faults. It does not protect from whoever can make system calls in the
 * process, nor the program's other pointers.
 *
 * 0, or
 *   -EACCES  some key could not be made read-only: it lies in a struct of yours, was compiled without the
 *            pass, or the operating system refused. Updates are refused all the same
 *   -EBUSY   called from a signal handler that interrupted an update; nothing has changed */
__STATIC_CALL_LIBRARY int static_call_seal(void);

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
	STATIC_CALL_WRITER_BREAKPOINT = 2, /* through /proc/self/mem; threads run into breakpoints meanwhile */
	STATIC_CALL_WRITER_CUSTOM = 3      /* the program's own */
};

/* How this process writes its code. */
__STATIC_CALL_LIBRARY enum static_call_writer static_call_writer(void);

struct static_call_info {
	size_t keys;                 /* that images call; a key counts once for each of these images */
	size_t sites;                /* recorded call sites */
	size_t direct;               /* that call their target directly, or are a nop */
	size_t through_trampoline;   /* that call the trampoline */
	size_t images;               /* registered executables and shared objects */
};

/* Counts the sites of one key, or of the whole process. Reads every site, and holds up updates meanwhile. */
#define static_call_key_info(key, info) static_call_key_info_at(&STATIC_CALL_KEY(key), info)
#define static_call_key_info_at(key, info) (__static_call_info(key, info))
__STATIC_CALL_LIBRARY void __static_call_info(const struct static_call_key *key, struct static_call_info *info);
__STATIC_CALL_LIBRARY void static_call_process_info(struct static_call_info *info);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif /* STATIC_CALL_H */
