/* Keys that an executable and two shared objects share, in every direction. */
#include <stdio.h>
#include <stdlib.h>

/* A program that hides its own symbols still finds the library's. */
#pragma GCC visibility push(hidden)
#include <static_call.h>
#pragma GCC visibility pop

#include "check.h"

#define EXPORT __attribute__((visibility("default")))

int in_program(int a);
int in_left(int a);
int in_right(int a);
DECLARE_STATIC_CALL(program_key, in_program);
DECLARE_STATIC_CALL(left_key, in_left);
DECLARE_STATIC_CALL(right_hook, void(int *));

/* Each calls all three keys, from the image in its name. */
EXPORT long call_from_left(int a);
EXPORT long call_from_right(int a);
EXPORT int update_from_left(void);
EXPORT int own_key_of_left(int update);
EXPORT int own_key_of_right(int update);

__attribute__((always_inline, unused)) static inline long call_all(int a)
{
	int hooked = 0;
	static_call_cond(right_hook, &hooked);
	return static_call(program_key, a) * 1000000L + static_call(left_key, a) * 1000L + hooked;
}
