/* static_call_plain.h - what static_call.h says in GNU's C, for compilers that are neither gcc nor clang.
 *
 * They compile the header alone (STATIC_CALL_WITHOUT_LIBRARY): MSVC's cl.exe, in C from Visual Studio 2022
 * 17.9 on (/std:c11), and every other compiler of C11 with `__typeof__`, or of C++17. Keys are atomic by
 * MSVC's intrinsics, by <stdatomic.h> or by <atomic>. In a C without these, calls and updates on several
 * threads have to take turns.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef __STATIC_CALL_PLAIN_H
#define __STATIC_CALL_PLAIN_H

#ifndef STATIC_CALL_WITHOUT_LIBRARY
#error "static_call.h: libstatic_call needs gcc or clang; define STATIC_CALL_WITHOUT_LIBRARY in all files"
#endif
#ifdef _MSC_VER
#if defined(_MSVC_LANG) && _MSVC_LANG < 201703L
#error "static_call.h: compile C++ with /std:c++17 or later"
#elif !defined(__cplusplus) && (_MSC_VER < 1939 || !defined(__STDC_VERSION__))
#error "static_call.h: compile C with Visual Studio 2022 17.9 or later, and with /std:c11 or later"
#endif
#elif defined(__cplusplus) && __cplusplus < 201703L
#error "static_call.h: compile C++ as C++17 or later"
#endif

#define __STATIC_CALL_EXTENSION
#define __STATIC_CALL_UNUSED
#define __STATIC_CALL_LIKELY(condition, expected) (condition)
#ifdef __cplusplus
#define __STATIC_CALL_TYPE_OF(func) decltype(__static_call_type_of<func>())
#endif

/* Functions that each file may have. */
#define __STATIC_CALL_INLINE inline
#if defined(__cplusplus)
#define __STATIC_CALL_HERE inline
#elif defined(_MSC_VER)
#define __STATIC_CALL_HERE __inline
#else
#define __STATIC_CALL_HERE static inline
#endif
#define __STATIC_CALL_LIBRARY __STATIC_CALL_HERE
#define __STATIC_CALL_LOCAL static inline

/* A number that all files of a program share. (The GNU C library defines `__attribute__` away.) */
#if defined(_MSC_VER)
#define __STATIC_CALL_SHARED_INT(name) __declspec(selectany) int name = 0
#elif defined(__cplusplus)
#define __STATIC_CALL_SHARED_INT(name) inline int name = 0
#elif defined(__TINYC__)
#define __STATIC_CALL_SHARED_INT(name) int name __attribute((weak)) = 0
#elif defined(__has_attribute)
#if __has_attribute(weak)
#define __STATIC_CALL_SHARED_INT(name) int name __attribute((weak)) = 0
#endif
#endif
#ifndef __STATIC_CALL_SHARED_INT /* linkers call such a definition common, and put all of them together */
#define __STATIC_CALL_SHARED_INT(name) int name
#endif

typedef __static_call_function *__static_call_pointer;

/* The target of a key, to be called: LOAD orders what follows behind it, STORE what precedes before it. */
#if defined(_MSC_VER)
#ifdef __cplusplus
extern "C" {
#endif
void *_InterlockedExchangePointer(void *volatile *, void *);
void *_InterlockedCompareExchangePointer(void *volatile *, void *, void *);
void _ReadWriteBarrier(void);
#pragma intrinsic(_InterlockedExchangePointer, _InterlockedCompareExchangePointer, _ReadWriteBarrier)
#if defined(_M_ARM64) || defined(_M_ARM64EC) || defined(_M_ARM)
void __dmb(unsigned int);
#pragma intrinsic(__dmb)
#define __STATIC_CALL_FENCE() __dmb(11) /* ISH */
#else
#define __STATIC_CALL_FENCE() _ReadWriteBarrier()
#endif
#ifdef __cplusplus
}
#endif
#define __STATIC_CALL_LOAD_RELAXED(target) (*(target))
#define __STATIC_CALL_IS_SET(flag) (*(volatile int *)(flag))
#define __STATIC_CALL_SET(flag) (__STATIC_CALL_FENCE(), (void)(*(volatile int *)(flag) = 1))
__STATIC_CALL_HERE __static_call_pointer __static_call_load(const volatile __static_call_pointer *__target)
	__STATIC_CALL_NOEXCEPT
{
	const __static_call_pointer __loaded = *__target;

	__STATIC_CALL_FENCE();
	return __loaded;
}
__STATIC_CALL_HERE __static_call_pointer __static_call_exchange(
	volatile __static_call_pointer *__target, __static_call_pointer __f) __STATIC_CALL_NOEXCEPT
{
	return (__static_call_pointer)(uintptr_t)_InterlockedExchangePointer((void *volatile *)__target,
									     (void *)(uintptr_t)__f);
}
__STATIC_CALL_HERE int __static_call_exchange_if(volatile __static_call_pointer *__target,
						 __static_call_pointer *__before,
						 __static_call_pointer __f) __STATIC_CALL_NOEXCEPT
{
	void *const __expected = (void *)(uintptr_t)*__before;
	void *const __found = _InterlockedCompareExchangePointer((void *volatile *)__target,
								 (void *)(uintptr_t)__f, __expected);

	*__before = (__static_call_pointer)(uintptr_t)__found;
	return __found == __expected;
}
#elif defined(__cplusplus)
extern "C++" {
#include <atomic>
}
#define __STATIC_CALL_ATOMIC(target) reinterpret_cast<std::atomic<__static_call_pointer> *>(target)
#define __STATIC_CALL_LOAD_RELAXED(target)                                                          \
	(reinterpret_cast<const volatile std::atomic<__static_call_pointer> *>(target)->load(        \
		std::memory_order_relaxed))
#define __STATIC_CALL_IS_SET(flag) (reinterpret_cast<std::atomic<int> *>(flag)->load())
#define __STATIC_CALL_SET(flag) (reinterpret_cast<std::atomic<int> *>(flag)->store(1))
inline __static_call_pointer __static_call_load(const volatile __static_call_pointer *__target) noexcept
{
	return reinterpret_cast<const volatile std::atomic<__static_call_pointer> *>(__target)->load(
		std::memory_order_acquire);
}
inline __static_call_pointer
__static_call_exchange(__static_call_pointer *__target, __static_call_pointer __f) noexcept
{
	return __STATIC_CALL_ATOMIC(__target)->exchange(__f);
}
inline bool __static_call_exchange_if(__static_call_pointer *__target, __static_call_pointer *__before,
				      __static_call_pointer __f) noexcept
{
	return __STATIC_CALL_ATOMIC(__target)->compare_exchange_strong(*__before, __f);
}
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L && !defined(__STDC_NO_ATOMICS__)
#include <stdatomic.h>
#define __STATIC_CALL_ATOMIC(target) ((volatile _Atomic(__static_call_pointer) *)(target))
#define __STATIC_CALL_LOAD_RELAXED(target) \
	atomic_load_explicit(__STATIC_CALL_ATOMIC(target), memory_order_relaxed)
#define __STATIC_CALL_IS_SET(flag) atomic_load((volatile _Atomic(int) *)(flag))
#define __STATIC_CALL_SET(flag) atomic_store((volatile _Atomic(int) *)(flag), 1)
static inline __static_call_pointer __static_call_load(const volatile __static_call_pointer *__target)
{
	return atomic_load_explicit(__STATIC_CALL_ATOMIC(__target), memory_order_acquire);
}
static inline __static_call_pointer
__static_call_exchange(__static_call_pointer *__target, __static_call_pointer __f)
{
	return atomic_exchange(__STATIC_CALL_ATOMIC(__target), __f);
}
static inline int __static_call_exchange_if(__static_call_pointer *__target, __static_call_pointer *__before,
					    __static_call_pointer __f)
{
	return atomic_compare_exchange_strong(__STATIC_CALL_ATOMIC(__target), __before, __f);
}
#else
#define __STATIC_CALL_LOAD_RELAXED(target) (*(target))
#define __STATIC_CALL_IS_SET(flag) (*(volatile int *)(flag))
#define __STATIC_CALL_SET(flag) ((void)(*(volatile int *)(flag) = 1))
static inline __static_call_pointer __static_call_load(const volatile __static_call_pointer *__target)
{
	return *__target;
}
static inline __static_call_pointer
__static_call_exchange(volatile __static_call_pointer *__target, __static_call_pointer __f)
{
	const __static_call_pointer __before = *__target;

	*__target = __f;
	return __before;
}
static inline int __static_call_exchange_if(volatile __static_call_pointer *__target,
					    __static_call_pointer *__before, __static_call_pointer __f)
{
	if (*__target == *__before) {
		*__target = __f;
		return 1;
	}
	*__before = *__target;
	return 0;
}
#endif
#define __STATIC_CALL_EXCHANGE(target, f) __static_call_exchange(target, f)
#define __STATIC_CALL_EXCHANGE_IF(target, before, f) __static_call_exchange_if(target, before, f)

/* Not every compiler has constructors. So a key that dispatches has no target until somebody wants it, and
 * has its default where the library would keep its records. */
__STATIC_CALL_HERE __static_call_pointer __static_call_resolve(struct static_call_key *__key)
	__STATIC_CALL_NOEXCEPT
{
	__static_call_pointer __chosen = ((__static_call_pointer (*)(void))__key->__off)();
	__static_call_pointer __before = 0;

	if (!__chosen)
		__chosen = __key->__records;
	return __static_call_exchange_if(&__key->__target, &__before, __chosen) ? __chosen : __before;
}

__STATIC_CALL_HERE __static_call_pointer __static_call_target(const struct static_call_key *__key)
	__STATIC_CALL_NOEXCEPT
{
	const __static_call_pointer __target = __static_call_load(&__key->__target);

	return __target ? __target : __static_call_resolve((struct static_call_key *)(uintptr_t)__key);
}

#endif /* __STATIC_CALL_PLAIN_H */
