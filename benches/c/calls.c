/* The cost of a call of one and the same function: directly, by a static call, and through a pointer.
 * The C twin of src/calls.rs, which explains the method; run by `cargo xtask bench`.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "static_call.h"

#define CALLS 20000
#define ROUNDS 200

__attribute__((noinline)) uint64_t target(uint64_t word)
{
	return (word << 5 | word >> 59) ^ 0x9e3779b9;
}

__attribute__((noinline)) uint64_t other(uint64_t word)
{
	return word + 1;
}

DEFINE_STATIC_CALL(bench, other);
/* Not static: a compiler that sees all its values calls them directly. */
uint64_t (*pointer)(uint64_t) = other;

#define LOOP(name, skip, call)                                                                       \
	__attribute__((noinline)) uint64_t name##_##skip(uint64_t calls, uint64_t word)              \
	{                                                                                            \
		__asm__ volatile(".p2align 6\n\t.skip " #skip ", 0x90");                             \
		for (uint64_t i = 0; i < calls; i++)                                                 \
			word = call;                                                                 \
		return word;                                                                         \
	}
#define LOOPS(skip)                                                                                  \
	LOOP(direct, skip, target(word))                                                             \
	LOOP(static, skip, static_call(bench, word))                                                 \
	LOOP(pointer, skip, __atomic_load_n(&pointer, __ATOMIC_RELAXED)(word))

LOOPS(0)
LOOPS(16)
LOOPS(32)
LOOPS(48)

static const struct {
	const char *form;
	int skip;
	uint64_t (*loop)(uint64_t, uint64_t);
} loops[] = {
#define ROW(skip)                                                                                    \
	{ "direct", skip, direct_##skip }, { "static", skip, static_##skip },                        \
		{ "pointer", skip, pointer_##skip }
	ROW(0), ROW(16), ROW(32), ROW(48)
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(void)
{
	static double samples[ROUNDS][sizeof loops / sizeof *loops];
	const int count = sizeof loops / sizeof *loops;
	uint64_t expected = 0;

	if (static_call_update(bench, target))
		return 1;
	__atomic_store_n(&pointer, target, __ATOMIC_RELAXED);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < count; i++) {
			int loop = (round + i) % count;
			double start = now();
			uint64_t word = loops[loop].loop(CALLS, 1);

			samples[round][loop] = (now() - start) / CALLS;
			if (expected && word != expected) {
				fprintf(stderr, "%s_%d called something else\n", loops[loop].form,
					loops[loop].skip);
				return 1;
			}
			expected = word;
		}
	}
	for (int round = 0; round < ROUNDS; round++)
		for (int loop = 0; loop < count; loop++)
			printf("%d %s %d %.4f\n", round, loops[loop].form, loops[loop].skip,
			       samples[round][loop]);
	return 0;
}
