/* static_call_without_library.h - static_call.h and static_branch.h without libstatic_call, for them alone.
 *
 * An update stores the key's pointer, and nothing else has to happen. Keys are safe to call and to update on
 * several threads. The seal refuses updates, but protects no memory.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef __STATIC_CALL_WITHOUT_LIBRARY_H
#define __STATIC_CALL_WITHOUT_LIBRARY_H

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunknown-warning-option"
#pragma clang diagnostic ignored "-Wunsafe-buffer-usage"
#endif

/* Not static, so that inline functions of the user's may call them. */
#if __STATIC_CALL_GNU && defined(__cplusplus)
#define __STATIC_CALL_HERE __inline__ __attribute__((__always_inline__)) __STATIC_CALL_LIBRARY
#elif __STATIC_CALL_GNU
#define __STATIC_CALL_HERE                                                                          \
	extern __inline__ __attribute__((__gnu_inline__, __always_inline__)) __STATIC_CALL_LIBRARY
#endif

/* The numbers of errno.h, which not everybody has. */
#define __STATIC_CALL_EACCES 13
#define __STATIC_CALL_EINVAL 22
#define __STATIC_CALL_EROFS 30
#define __STATIC_CALL_ERANGE 34

/* One in a program: the linker keeps the first. */
#if __STATIC_CALL_GNU
extern int __static_call_is_sealed;
__attribute__((__weak__)) int __static_call_is_sealed = 0;
#else
__STATIC_CALL_SHARED_INT(__static_call_is_sealed);
#endif

/* What a change stores, or NULL if the key does not have it. */
__STATIC_CALL_HERE __static_call_function *__static_call_new_target(const struct static_call_key *__key,
								    __static_call_function *__target,
								    uint32_t __form)
{
	const uint32_t __off = __key->__flags & 3;

	if (__form == STATIC_CALL_FORM_ZERO)
		return __off == STATIC_CALL_FORM_ZERO ? __key->__off : __STATIC_CALL_NULL;
	if (__target != __STATIC_CALL_NULL)
		return __target;
	return __off == STATIC_CALL_FORM_NOP || __off == STATIC_CALL_FORM_OFF_CALL ? __key->__off
										   : __STATIC_CALL_NULL;
}

/* Whether this is the key of a branch, which counts in the place of a function. */
__STATIC_CALL_HERE int __static_call_is_branch(const struct static_call_key *__key)
{
	return (__key->__flags & UINT32_C(0x8000)) != 0;
}

__STATIC_CALL_HERE intptr_t __static_call_count(const struct static_call_key *__key)
{
	return (intptr_t)__STATIC_CALL_LOAD_RELAXED(&__key->__target);
}

/* The count after a change, or -1 if it cannot go there. */
__STATIC_CALL_HERE intptr_t __static_call_new_count(const struct static_call_change *__change,
						    intptr_t __count)
{
	switch (__change->__wish) {
	case 1: return __count == 0 ? 1 : __count;
	case 2: return __count > 1 ? -1 : 0;
	case 3: return __count == INTPTR_MAX ? -1 : __count + 1;
	case 4: return __count - 1;
	default: return (intptr_t)__change->__target;
	}
}

/* Makes a change of a branch's key, and has it hold what the key was before. */
__STATIC_CALL_HERE int __static_call_switch(struct static_call_change *__change)
{
	__static_call_function *__before = __STATIC_CALL_LOAD_RELAXED(&__change->__key->__target);
	intptr_t __count;

	do {
		__count = __static_call_new_count(__change, (intptr_t)__before);
		if (__count < 0)
			return -__STATIC_CALL_ERANGE;
	} while (!__STATIC_CALL_EXCHANGE_IF(&__change->__key->__target, &__before,
					    (__static_call_function *)__count));
	__change->__target = __before;
	__change->__form = STATIC_CALL_FORM_CALL;
	__change->__wish = 0;
	return 0;
}

/* Makes a change, and has it hold what the key was before. */
__STATIC_CALL_HERE void __static_call_make(struct static_call_change *__change)
{
	struct static_call_key *const __key = __change->__key;

	if (__static_call_is_branch(__key)) {
		/* It was possible a moment ago. Somebody else may have counted since. */
		(void)__static_call_switch(__change);
		return;
	}
#if !__STATIC_CALL_GNU /* it may not have chosen its first function yet */
	(void)__static_call_target(__key);
#endif
	__change->__target = __STATIC_CALL_EXCHANGE(
		&__key->__target, __static_call_new_target(__key, __change->__target, __change->__form));
	__change->__form = STATIC_CALL_FORM_CALL;
	if (__change->__target == __key->__off) {
		__change->__form = __key->__flags & 3;
		__change->__target = __STATIC_CALL_NULL;
	}
}

__STATIC_CALL_HERE int static_call_update_batch(struct static_call_change *__changes, size_t __count)
{
	size_t __index, __before;

	if (__count == 0)
		return 0;
	if (__STATIC_CALL_IS_SET(&__static_call_is_sealed))
		return -__STATIC_CALL_EROFS;
	for (__index = 0; __index < __count; __index++) {
		const struct static_call_change *const __change = &__changes[__index];

		for (__before = 0; __before < __index; __before++)
			if (__changes[__before].__key == __change->__key)
				return -__STATIC_CALL_EINVAL;
		if (__static_call_is_branch(__change->__key)) {
			if (__static_call_new_count(__change, __static_call_count(__change->__key)) < 0)
				return -__STATIC_CALL_ERANGE;
			continue;
		}
		if (__static_call_new_target(__change->__key, __change->__target, __change->__form) ==
		    __STATIC_CALL_NULL)
			return -__STATIC_CALL_EINVAL;
	}
	for (__index = 0; __index < __count; __index++)
		__static_call_make(&__changes[__index]);
	return 0;
}

__STATIC_CALL_HERE int __static_call_update(struct static_call_key *__key, __static_call_function *__target)
{
	struct static_call_change __change = { __key, __target, STATIC_CALL_FORM_CALL, 0 };

	return static_call_update_batch(&__change, 1);
}

__STATIC_CALL_HERE int __static_call_update_ret0(struct static_call_key *__key)
{
	struct static_call_change __change = { __key, __STATIC_CALL_NULL, STATIC_CALL_FORM_ZERO, 0 };

	return static_call_update_batch(&__change, 1);
}

__STATIC_CALL_HERE int __static_call_make_pointer(struct static_call_key *__key, void *__error)
{
	(void)__key;
	(void)__error;
	return __STATIC_CALL_IS_SET(&__static_call_is_sealed) ? -__STATIC_CALL_EROFS : 0;
}

__STATIC_CALL_HERE int __static_call_branch(struct static_call_key *__key, uint32_t __wish)
{
	struct static_call_change __change = { __key, __STATIC_CALL_NULL, STATIC_CALL_FORM_CALL, __wish };

	if (__STATIC_CALL_IS_SET(&__static_call_is_sealed))
		return -__STATIC_CALL_EROFS;
	return __static_call_switch(&__change);
}

__STATIC_CALL_HERE __static_call_function *__static_call_query(const struct static_call_key *__key)
{
	__static_call_function *const __target = __static_call_target(__key);

	return __target == __key->__off ? __STATIC_CALL_NULL : __target;
}

__STATIC_CALL_HERE int static_call_seal(void)
{
	__STATIC_CALL_SET(&__static_call_is_sealed);
	return -__STATIC_CALL_EACCES;
}

__STATIC_CALL_HERE enum static_call_mode static_call_mode(void) { return STATIC_CALL_MODE_GENERIC; }

__STATIC_CALL_HERE const char *static_call_mode_reason(void)
{
	return "compiled with STATIC_CALL_WITHOUT_LIBRARY";
}

__STATIC_CALL_HERE enum static_call_writer static_call_writer(void) { return STATIC_CALL_WRITER_NONE; }

__STATIC_CALL_HERE void static_call_process_info(struct static_call_info *__info)
{
	const struct static_call_info __nothing = { 0, 0, 0, 0, 0, 0, 0 };

	*__info = __nothing;
}

__STATIC_CALL_HERE void
__static_call_info(const struct static_call_key *__key, struct static_call_info *__info)
{
	(void)__key;
	static_call_process_info(__info);
}

#ifdef __clang__
#pragma clang diagnostic pop
#endif

#endif /* __STATIC_CALL_WITHOUT_LIBRARY_H */
