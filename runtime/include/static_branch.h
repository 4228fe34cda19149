/* static_branch.h - branches whose conditions rarely change.
 *
 *     DEFINE_STATIC_KEY_FALSE(trace);                    // off to begin with
 *
 *     if (static_branch_unlikely(&trace))                // one no-op
 *             print_frame(frame);
 *     int error = static_branch_enable(&trace);          // one jump from now on, if it is 0
 *
 * The names and their meaning are those of Linux's include/linux/jump_label.h. On Linux on x86-64, AArch64,
 * RISC-V, s390x, ARMv7, POWER and i686, gcc and clang compile a branch to one no-op or one jump (`asm goto`),
 * which the library changes. Elsewhere, and in some position-independent code (see docs/branches.md), it is a
 * relaxed load and a branch. No compiler plugin is needed. Link with libstatic_call, as for static_call.h.
 *
 *   keys       DEFINE_STATIC_KEY_FALSE(name), DEFINE_STATIC_KEY_TRUE(name)
 *              DECLARE_STATIC_KEY_FALSE(name), DECLARE_STATIC_KEY_TRUE(name)    another file defines it
 *              DEFINE_STATIC_KEY_ARRAY_FALSE(name, count), ..._TRUE(name, count)    in C
 *              STATIC_KEY_FALSE_INIT, STATIC_KEY_TRUE_INIT    initializers, in arrays, structs and classes:
 *                  static inline struct static_key_false trace = STATIC_KEY_FALSE_INIT;
 *              (g++ puts no key of a class or a template into the section of others.)
 *   branches   static_branch_unlikely(&key)      whether it is on; a no-op while it is off
 *              static_branch_likely(&key)        the same; a no-op while it is on
 *   hooks      static_call_lazy(key, args...)    static_call_cond of a key that may be NULL, behind a branch:
 *                                                one no-op while it is NULL, and no argument is evaluated
 *   updates    static_branch_enable(&key), static_branch_disable(&key)
 *              static_branch_inc(&key), static_branch_dec(&key)    count who wants it on
 *              STATIC_BRANCH_CHANGE(&key, on)       one of static_call_update_batch's changes
 *              static_key_enable(&key.key), static_key_disable(&key.key)
 *              static_key_slow_inc(&key.key), static_key_slow_dec(&key.key)    of a `struct static_key`
 *   questions  static_key_enabled(&key), static_key_count(&key)
 *
 * A branch names its key as a constant, as `&key`. Otherwise (in a function that is given the key) use
 * static_key_enabled.
 *
 * Updates return 0, or a negative errno as static_call_update does, and then nothing has changed; -ERANGE if
 * the count cannot go there: counted down at 0, or disabled while more than one want it on.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef STATIC_BRANCH_H
#define STATIC_BRANCH_H

#include "static_call.h"

/* Kernel code names this field. The macros use its other name, so users may have a macro `key`. */
#pragma push_macro("key")
#undef key

#if __STATIC_CALL_GNU
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

struct __STATIC_CALL_ALIGNED static_key {
	struct static_call_key __key;
};
__STATIC_CALL_EXTENSION struct __STATIC_CALL_ALIGNED static_key_true {
	union __STATIC_CALL_ALIGNED {
		struct static_key key;
		struct static_key __key;
	};
};
__STATIC_CALL_EXTENSION struct __STATIC_CALL_ALIGNED static_key_false {
	union __STATIC_CALL_ALIGNED {
		struct static_key key;
		struct static_key __key;
	};
};

/* For the macros: in a module of C++, `struct static_key_true` would declare another struct. */
typedef struct static_key_true __static_branch_true;
typedef struct static_key_false __static_branch_false;

#define __STATIC_BRANCH_KEY UINT32_C(0x8000)
#define __STATIC_BRANCH_INIT(count, name)                                                           \
	{ { count, __STATIC_CALL_NULL, __STATIC_CALL_NULL, name, 0,                                  \
	    __STATIC_BRANCH_KEY | (STATIC_CALL_VERSION << 16) } }
#ifdef __cplusplus
#define __STATIC_BRANCH_ONE \
	reinterpret_cast<__static_call_function *>(static_cast<intptr_t>(1))
#else
#define __STATIC_BRANCH_ONE ((__static_call_function *)1)
#endif
#define __STATIC_BRANCH_ZERO __STATIC_CALL_NULL
#define STATIC_KEY_INIT_TRUE __STATIC_BRANCH_INIT(__STATIC_BRANCH_ONE, __STATIC_CALL_NULL)
#define STATIC_KEY_INIT_FALSE __STATIC_BRANCH_INIT(__STATIC_BRANCH_ZERO, __STATIC_CALL_NULL)
#define STATIC_KEY_TRUE_INIT { { STATIC_KEY_INIT_TRUE } }
#define STATIC_KEY_FALSE_INIT { { STATIC_KEY_INIT_FALSE } }

#if __STATIC_CALL_GNU && defined(__ELF__)
#define __STATIC_BRANCH_SECTION __attribute__((__section__("static_call_keys")))
#elif __STATIC_CALL_GNU && defined(_WIN32)
#define __STATIC_BRANCH_SECTION __attribute__((__section__(".scall$b")))
#else
#define __STATIC_BRANCH_SECTION
#endif
#define DEFINE_STATIC_KEY_TRUE(name)                                                                \
	__static_branch_true name __STATIC_BRANCH_SECTION = {                                        \
		{ __STATIC_BRANCH_INIT(__STATIC_BRANCH_ONE, #name) }                                 \
	}
#define DEFINE_STATIC_KEY_FALSE(name)                                                               \
	__static_branch_false name __STATIC_BRANCH_SECTION = {                                       \
		{ __STATIC_BRANCH_INIT(__STATIC_BRANCH_ZERO, #name) }                                  \
	}
#define DECLARE_STATIC_KEY_TRUE(name) extern __static_branch_true name
#define DECLARE_STATIC_KEY_FALSE(name) extern __static_branch_false name
/* The kernel's are read-only once it has booted; static_call_seal makes all keys so. */
#define DEFINE_STATIC_KEY_TRUE_RO(name) DEFINE_STATIC_KEY_TRUE(name)
#define DEFINE_STATIC_KEY_FALSE_RO(name) DEFINE_STATIC_KEY_FALSE(name)
#if __STATIC_CALL_GNU && !defined(__cplusplus) /* others have no ranges of designators */
#define DEFINE_STATIC_KEY_ARRAY_TRUE(name, count)                                                   \
	__static_branch_true name[count] __STATIC_BRANCH_SECTION = {                                 \
		[0 ...(count) - 1] = { { __STATIC_BRANCH_INIT(__STATIC_BRANCH_ONE, #name) } }            \
	}
#define DEFINE_STATIC_KEY_ARRAY_FALSE(name, count)                                                  \
	__static_branch_false name[count] __STATIC_BRANCH_SECTION = {                                \
		[0 ...(count) - 1] = { { __STATIC_BRANCH_INIT(__STATIC_BRANCH_ZERO, #name) } }           \
	}
#endif

#ifndef STATIC_CALL_WITHOUT_LIBRARY
__STATIC_CALL_LIBRARY int __static_call_branch(struct static_call_key *__key, uint32_t __wish);
#endif

#define static_branch_enable(x) (__static_call_branch(&(x)->__key.__key, 1))
#define static_branch_disable(x) (__static_call_branch(&(x)->__key.__key, 2))
#define static_branch_inc(x) (__static_call_branch(&(x)->__key.__key, 3))
#define static_branch_dec(x) (__static_call_branch(&(x)->__key.__key, 4))
/* The same for a `struct static_key`. */
#define static_key_enable(x) (__static_call_branch(&(x)->__key, 1))
#define static_key_disable(x) (__static_call_branch(&(x)->__key, 2))
#define static_key_slow_inc(x) (__static_call_branch(&(x)->__key, 3))
#define static_key_slow_dec(x) (__static_call_branch(&(x)->__key, 4))

/* As STATIC_CALL_CHANGE: switches the key on or off. Keys of functions and branches may change together. */
#define STATIC_BRANCH_CHANGE(x, on)                                                                 \
	{ &(x)->__key.__key, __STATIC_CALL_NULL, STATIC_CALL_FORM_CALL, (on) ? UINT32_C(1) : UINT32_C(2) }

/* How many want the key on, which may be of each of the three types. Volatile: clang takes what a C++ module
 * or a precompiled header defines in a section for a constant. */
#ifdef __cplusplus
extern "C++" {
__STATIC_CALL_INLINE int static_key_count(const static_key *__key) noexcept
{
	__static_call_function *const volatile *__count = &__key->__key.__target;

	return static_cast<int>(reinterpret_cast<intptr_t>(__STATIC_CALL_LOAD_RELAXED(__count)));
}
__STATIC_CALL_INLINE int static_key_count(const static_key_true *__key) noexcept
{
	return static_key_count(&__key->__key);
}
__STATIC_CALL_INLINE int static_key_count(const static_key_false *__key) noexcept
{
	return static_key_count(&__key->__key);
}
}
#else
#define static_key_count(x) ((int)(intptr_t)__STATIC_CALL_LOAD_RELAXED(__STATIC_BRANCH_COUNT(x)))
#define __STATIC_BRANCH_COUNT(x)                                                                    \
	((__static_call_function *const volatile *)&__STATIC_BRANCH_ANY(x)->__key.__target)
#define __STATIC_BRANCH_ANY(x)                                                                      \
	__STATIC_CALL_EXTENSION _Generic(*(x),                                                          \
		struct static_key: (const struct static_key *)(x),                                  \
		struct static_key_true: (const struct static_key *)(x),                             \
		struct static_key_false: (const struct static_key *)(x))
#endif
#define static_key_enabled(x) (static_key_count(x) != 0)

/* A long in C, as Linux' branches are. C++ lets no long initialize a bool in braces. */
#ifdef __cplusplus
#define __STATIC_BRANCH_EXPECT(is_on, expected) (__STATIC_CALL_LIKELY(is_on, expected) != 0)
#else
#define __STATIC_BRANCH_EXPECT(is_on, expected) __STATIC_CALL_LIKELY(is_on, expected)
#endif

#if __STATIC_CALL_ASSEMBLER && defined(__STATIC_CALL_SYMBOL) && defined(__STATIC_CALL_ASM_BRANCH_ON)
/* A block without its end, where `__static_call_is_on` is the answer. `key` is the address of the library's
 * part of a key, and `when` the assembler's macro, because a user may have a macro `ON`. The variable has no
 * initializer: clang before 17 takes each branch's label for a target of each other's jump, and C++ lets no
 * jump pass an initialization. */
#define __STATIC_BRANCH_BLOCK(key, when, polarity, jumped)                                           \
	__label__ __static_call_jump, __static_call_done;                                            \
	__static_call_bool __static_call_is_on;                                                      \
	__static_call_is_on = !(jumped);                                                             \
	__asm__ goto(when(__STATIC_CALL_ASM_KEY)                                                     \
			     __STATIC_CALL_ASM_BRANCH_END(__STATIC_CALL_ASM_KEY, polarity)           \
		     :                                                                               \
		     : __STATIC_CALL_SYMBOL(key)                                                     \
		     : __STATIC_CALL_ASM_CLOBBERS                                                    \
		     : __static_call_jump);                                                          \
	goto __static_call_done;                                                                     \
	__static_call_jump:                                                                          \
	__STATIC_BRANCH_COLD __static_call_is_on = (jumped);                                         \
	__static_call_done:
#ifdef __clang__
#define __STATIC_BRANCH_COLD
#else /* Otherwise gcc saves registers for this way before it branches. */
#define __STATIC_BRANCH_COLD __attribute__((__cold__));
#endif
#if defined(__clang__) && defined(__cplusplus) && __clang_major__ < 17
/* A function of its own for each branch, which is inlined: clang before 17 refuses two branches in one
 * function where a jump from one to the other's label would enter a `try` or pass a variable with a
 * destructor, though no branch jumps there (D155342 mended that). It looks into lambdas too, but not into
 * classes. */
#define __STATIC_BRANCH(key, when, polarity, jumped)                                                 \
	([]() __attribute__((__always_inline__)) -> bool {                                           \
		struct __static_call_branch_class {                                                  \
			static __attribute__((__always_inline__)) bool __static_call_ask()           \
			{                                                                            \
				__STATIC_BRANCH_BLOCK(key, when, polarity, jumped)                   \
				return __static_call_is_on;                                          \
			}                                                                            \
		};                                                                                   \
		return __static_call_branch_class::__static_call_ask();                              \
	}())
#elif defined(__clang__) && defined(__cpp_impl_coroutine)
/* clang compiles no label in a coroutine, but one in a function that is inlined there. */
#define __STATIC_BRANCH(key, when, polarity, jumped)                                                 \
	([]() __attribute__((__always_inline__)) -> bool {                                           \
		__STATIC_BRANCH_BLOCK(key, when, polarity, jumped)                                   \
		return __static_call_is_on;                                                          \
	}())
#else
#define __STATIC_BRANCH(key, when, polarity, jumped)                                                 \
	(__extension__({                                                                             \
		__STATIC_BRANCH_BLOCK(key, when, polarity, jumped)                                   \
		__static_call_is_on;                                                                 \
	}))
#endif
#ifdef __cplusplus
#define __static_call_bool bool
#else
#define __static_call_bool _Bool
#endif
#define __STATIC_BRANCH_IS_SOME(key)                                                                \
	__STATIC_BRANCH(&STATIC_CALL_KEY(key), __STATIC_CALL_ASM_BRANCH_SOME, "0", 1)
#define static_branch_unlikely(x)                                                                   \
	__STATIC_BRANCH_EXPECT(                                                                      \
		__STATIC_BRANCH(&(x)->__key.__key, __STATIC_CALL_ASM_BRANCH_ON, "0", 1), 0)
#define static_branch_likely(x)                                                                     \
	__STATIC_BRANCH_EXPECT(                                                                      \
		__STATIC_BRANCH(&(x)->__key.__key, __STATIC_CALL_ASM_BRANCH_OFF, "1", 0), 1)
#else
#ifdef STATIC_CALL_WITHOUT_LIBRARY
#define __STATIC_BRANCH_IS_SOME(key) (static_call_query(key) != __STATIC_CALL_NULL)
#else
#define __STATIC_BRANCH_IS_SOME(key) \
	((__atomic_load_n(&STATIC_CALL_KEY(key).__form, __ATOMIC_RELAXED) & 1) == 0)
#endif
#define static_branch_unlikely(x) __STATIC_BRANCH_EXPECT(static_key_enabled(x), 0)
#define static_branch_likely(x) __STATIC_BRANCH_EXPECT(static_key_enabled(x), 1)
#endif

/* Only for keys that may be NULL: with branches on others, an image stays unpatched. While the key has a
 * function, it costs more than static_call_cond. */
#define static_call_lazy(...)                                                                       \
	__STATIC_BRANCH_LAZY(__STATIC_CALL_AGAIN(__STATIC_BRANCH_FIRST(__VA_ARGS__, )),              \
			     static_call_cond(__VA_ARGS__))
#define __STATIC_BRANCH_FIRST(first, ...) first
#define __STATIC_BRANCH_LAZY(key, call) __STATIC_BRANCH_LAZY_EXPANDED(key, call)
#define __STATIC_BRANCH_LAZY_EXPANDED(key, call)                                                    \
	(__STATIC_CALL_LIKELY(__STATIC_BRANCH_IS_SOME(key), 0) ? (call) : (void)0)

#ifdef __cplusplus
}
#endif
#if __STATIC_CALL_GNU
#pragma GCC visibility pop
#endif

#pragma pop_macro("key")

#endif /* STATIC_BRANCH_H */
