/* The cost of calling the same function in every form that a switchable call can have. This is the C
 * version of src/calls.rs, which explains the method and the work loads. `cargo xtask bench` runs it. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "process.h"

/* A multiple of every number of sites. */
#define CALLS 16384

#define NOINLINE __attribute__((noinline))
/* Hides a value from the compiler, so that it cannot merge two steps into one. */
#define OPAQUE(word) __asm__("" : "+r"(word))
#ifdef __x86_64__
#define PLACE(skip) __asm__ volatile(".p2align 6\n\t.skip " #skip ", 0x90")
#else
#define PLACE(skip)
#endif

typedef uint64_t step(uint64_t word);

__attribute__((always_inline)) static inline uint64_t inlined(uint64_t word)
{
	return (word << 5 | word >> 59) ^ 0x9e3779b9;
}

NOINLINE uint64_t target(uint64_t word) { return inlined(word); }

NOINLINE uint64_t other(uint64_t word) { return word + 1; }

DEFINE_STATIC_CALL(bench, other);
NOINLINE void on_word(uint64_t word) { __asm__ volatile("" : : "r"(word)); }
DEFINE_STATIC_CALL_NULL(hook, on_word);
/* The same for callers that keep their values in registers. */
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
__attribute__((preserve_most))
#endif
NOINLINE void on_word_aside(uint64_t word)
{
	__asm__ volatile("" : : "r"(word));
}
DEFINE_STATIC_CALL_NULL(preserving_hook, on_word_aside);

/* Not static: a compiler that sees every store would know what is called. */
step *pointer = other;
const struct step_methods {
	step *first, *step;
} methods_of_other = { other, other }, methods_of_target = { other, target };
struct object {
	const struct step_methods *methods;
} object = { &methods_of_other };
int choice = 0;
bool hook_is_on = false;
void (*hook_pointer)(uint64_t) = NULL;

#ifdef __ELF__
/* Read at start-up: a compiler that knows what is resolved calls it directly. */
static volatile int has_feature = 1;
static step *resolve(void) { return has_feature ? target : other; }
uint64_t resolved(uint64_t word) __attribute__((ifunc("resolve")));
#endif

#define NEIGHBOUR(number)                                                                            \
	NOINLINE static uint64_t neighbour_##number(uint64_t word)                                   \
	{                                                                                            \
		return word * (2 * number + 1);                                                      \
	}
NEIGHBOUR(0)
NEIGHBOUR(1)
NEIGHBOUR(2)
NEIGHBOUR(3)
NEIGHBOUR(4)
NEIGHBOUR(5)
NEIGHBOUR(6)
NEIGHBOUR(7)
NEIGHBOUR(8)
NEIGHBOUR(9)
NEIGHBOUR(10)
NEIGHBOUR(11)
NEIGHBOUR(12)
NEIGHBOUR(13)
NEIGHBOUR(14)
NEIGHBOUR(15)
step *neighbours[] = {
	neighbour_0,  neighbour_1,  neighbour_2,  neighbour_3,  neighbour_4,  neighbour_5,
	neighbour_6,  neighbour_7,  neighbour_8,  neighbour_9,  neighbour_10, neighbour_11,
	neighbour_12, neighbour_13, neighbour_14, neighbour_15,
};

__attribute__((always_inline)) static inline uint64_t by_choice(uint64_t word)
{
	switch (__atomic_load_n(&choice, __ATOMIC_RELAXED)) {
	case 0: return other(word);
	case 1: return target(word);
	case 2: return neighbour_2(word);
	default: return neighbour_3(word);
	}
}

/* The forms. */
#define direct(word) target(word)
#define again(word) target(word)
#define keyed(word) static_call(bench, word)
#define pointed(word) __atomic_load_n(&pointer, __ATOMIC_RELAXED)(word)
#define method(word) __atomic_load_n(&object.methods, __ATOMIC_RELAXED)->step(word)

#define none(word) ((void)0)
#define hook_key(word) static_call_cond(hook, word)
#define hook_preserving_key(word) static_call_cond(preserving_hook, word)
#define hook_branch(word) (__atomic_load_n(&hook_is_on, __ATOMIC_RELAXED) ? on_word(word) : (void)0)
__attribute__((always_inline)) static inline void hook_pointed(uint64_t word)
{
	void (*target)(uint64_t) = __atomic_load_n(&hook_pointer, __ATOMIC_RELAXED);

	if (target)
		target(word);
}

/* The work loads. */
#define FOUR(statement) statement statement statement statement
#define CHAIN(call)                                                                                  \
	for (uint32_t i = 0; i < calls; i++) {                                                       \
		word = call(word);                                                                   \
		OPAQUE(word);                                                                        \
	}
#define THROUGHPUT(call)                                                                             \
	for (uint64_t i = 0, start = word; i < calls; i++) {                                         \
		uint64_t result = call(start ^ i);                                                   \
		OPAQUE(result);                                                                      \
		word += result;                                                                      \
	}
#define NEIGHBOURS(call)                                                                             \
	for (uint64_t i = 0, random = 1; i < calls; i++) {                                           \
		random = random * 0x5851f42d4c957f2d + 1;                                            \
		word = neighbours[random >> 60](word);                                               \
		word = call(word);                                                                   \
	}
#define HOOK(hook)                                                                                   \
	for (uint32_t i = 0; i < calls; i++) {                                                       \
		word = target(word);                                                                 \
		hook(word);                                                                          \
	}
#define LEAF(hook)                                                                                   \
	for (uint32_t i = 0; i < calls; i++) {                                                       \
		FOUR(word = inlined(word); OPAQUE(word);)                                            \
		hook(word);                                                                          \
	}
#define SITES(count, call, calls_of_all) for (uint32_t i = 0; i < calls / count; i++) { calls_of_all }
#define ONE(call) word = call(word);
#define SITES1(call) SITES(1, call, ONE(call))
#define SITES4(call) SITES(4, call, FOUR(ONE(call)))
#define SITES16(call) SITES(16, call, FOUR(FOUR_(ONE(call))))
#define SITES64(call) SITES(64, call, FOUR(FOUR_(FOUR__(ONE(call)))))
#define SITES256(call) SITES(256, call, FOUR(FOUR_(FOUR__(FOUR___(ONE(call))))))
#define SITES1024(call) SITES(1024, call, FOUR(FOUR_(FOUR__(FOUR___(FOUR____(ONE(call)))))))
#define SITES4096(call) SITES(4096, call, FOUR(FOUR_(FOUR__(FOUR___(FOUR____(FOUR_____(ONE(call))))))))
/* A macro does not expand within itself. */
#define FOUR_(statement) statement statement statement statement
#define FOUR__(statement) statement statement statement statement
#define FOUR___(statement) statement statement statement statement
#define FOUR____(statement) statement statement statement statement
#define FOUR_____(statement) statement statement statement statement

#define FOUR_PLACES(ROW, ...) \
	ROW(__VA_ARGS__, 0) ROW(__VA_ARGS__, 16) ROW(__VA_ARGS__, 32) ROW(__VA_ARGS__, 48)
#define TWO_PLACES(ROW, ...) ROW(__VA_ARGS__, 0) ROW(__VA_ARGS__, 32)
#ifdef __ELF__
#define IFUNC(ROW, WORK, work) FOUR_PLACES(ROW, WORK, work, ifunc, resolved)
#else
#define IFUNC(ROW, WORK, work)
#endif
#define SHORT(ROW, WORK, work)                                                                       \
	FOUR_PLACES(ROW, WORK, work, direct, direct)                                                 \
	FOUR_PLACES(ROW, WORK, work, again, again)                                                   \
	FOUR_PLACES(ROW, WORK, work, static, keyed)                                                  \
	FOUR_PLACES(ROW, WORK, work, pointer, pointed)                                               \
	FOUR_PLACES(ROW, WORK, work, object, method)                                                 \
	FOUR_PLACES(ROW, WORK, work, choice, by_choice)                                              \
	IFUNC(ROW, WORK, work)
#define MANY(ROW, PLACES, WORK, work)                                                                \
	PLACES(ROW, WORK, work, direct, direct)                                                      \
	PLACES(ROW, WORK, work, again, again)                                                        \
	PLACES(ROW, WORK, work, static, keyed)                                                       \
	PLACES(ROW, WORK, work, pointer, pointed)
#define OFF(ROW, WORK, work)                                                                         \
	FOUR_PLACES(ROW, WORK, work, none, none)                                                     \
	FOUR_PLACES(ROW, WORK, work, again, none)                                                    \
	FOUR_PLACES(ROW, WORK, work, static, hook_key)                                               \
	FOUR_PLACES(ROW, WORK, work, preserving, hook_preserving_key)                                \
	FOUR_PLACES(ROW, WORK, work, branch, hook_branch)                                            \
	FOUR_PLACES(ROW, WORK, work, pointer, hook_pointed)
/* These take the compiler longer than all others. */
#ifdef SHORT_ONLY
#define ALL_SITES(ROW)
#else
#define ALL_SITES(ROW)                                                                               \
	MANY(ROW, FOUR_PLACES, SITES1, sites1)                                                       \
	MANY(ROW, FOUR_PLACES, SITES4, sites4)                                                       \
	MANY(ROW, FOUR_PLACES, SITES16, sites16)                                                     \
	MANY(ROW, FOUR_PLACES, SITES64, sites64)                                                     \
	MANY(ROW, FOUR_PLACES, SITES256, sites256)                                                   \
	MANY(ROW, TWO_PLACES, SITES1024, sites1024)                                                  \
	MANY(ROW, TWO_PLACES, SITES4096, sites4096)
#endif
#define ALL(ROW)                                                                                     \
	SHORT(ROW, CHAIN, chain)                                                                     \
	FOUR_PLACES(ROW, CHAIN, chain, inlined, inlined)                                             \
	SHORT(ROW, THROUGHPUT, throughput)                                                           \
	FOUR_PLACES(ROW, THROUGHPUT, throughput, inlined, inlined)                                   \
	SHORT(ROW, NEIGHBOURS, neighbours)                                                           \
	ALL_SITES(ROW)                                                               \
	OFF(ROW, HOOK, hook)                                                                         \
	OFF(ROW, LEAF, leaf)

#define LOOP(WORK, work, form, call, skip)                                                           \
	NOINLINE uint64_t work##_##form##_##skip(uint32_t calls, uint64_t word)                      \
	{                                                                                            \
		PLACE(skip);                                                                         \
		WORK(call)                                                                           \
		return word;                                                                         \
	}
ALL(LOOP)

struct loop {
	const char *work, *form;
	int skip;
	uint64_t (*run)(uint32_t calls, uint64_t word);
};
#define ROW(WORK, work, form, call, skip) { #work, #form, skip, work##_##form##_##skip },
static const struct loop all[] = { ALL(ROW) };
enum { LOOPS = sizeof all / sizeof *all };

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

#ifdef __x86_64__
/* Unrelated code: 256 KiB of jumps. */
NOINLINE static void flush(void) { __asm__ volatile(".rept 32768\n\tjmp 2f\n\t.skip 6, 0xcc\n2:\n\t.endr"); }

enum { FLUSHES = 8 };

/* Nanoseconds per call over sites that the branch predictor has forgotten. */
static double after_flush(const struct loop *loop)
{
	double nanoseconds = 0;

	for (int i = 0; i < FLUSHES; i++) {
		flush();
		double start = now();
		loop->run(256, 1);
		nanoseconds += now() - start;
	}
	return nanoseconds / (256 * FLUSHES);
}
#endif

struct sample {
	const struct loop *loop;
	double nanoseconds;
};

int main(int argc, char **argv)
{
	const int rounds = argc > 1 ? atoi(argv[1]) : 200;
	const bool is_flush = argc > 2 && !strcmp(argv[2], "flush");
	const char *only = is_flush ? "sites256" : argc > 2 ? argv[2] : "";
	const struct loop *loops[LOOPS];
	uint64_t results[LOOPS];
	int count = 0;

	for (int i = 0; i < LOOPS; i++)
		if (!strncmp(all[i].work, only, strlen(only)))
			loops[count++] = &all[i];
	struct sample *samples = calloc((size_t)rounds * (size_t)count + 1, sizeof *samples), *next = samples;
	if (!samples || static_call_update(bench, target))
		return 1;
	__atomic_store_n(&pointer, target, __ATOMIC_RELAXED);
	__atomic_store_n(&object.methods, &methods_of_target, __ATOMIC_RELAXED);
	__atomic_store_n(&choice, 1, __ATOMIC_RELAXED);
	for (int round = 0; round < rounds; round++) {
		/* In random order, because each loop inherits the previous one's caches and predictors. */
		for (int i = count - 1; i > 0; i--) {
			int other = rand() % (i + 1);
			const struct loop *loop = loops[i];

			loops[i] = loops[other];
			loops[other] = loop;
		}
		for (int i = 0; i < count; i++, next++) {
			double start = now();

			results[loops[i] - all] = loops[i]->run(CALLS, 1);
			next->nanoseconds = (now() - start) / CALLS;
			next->loop = loops[i];
#ifdef __x86_64__
			if (is_flush)
				next->nanoseconds = after_flush(loops[i]);
#endif
		}
	}
	/* The loops of a work load are adjacent. */
	for (int i = 1; i < LOOPS; i++) {
		if (!strncmp(all[i].work, only, strlen(only)) && !strcmp(all[i].work, all[i - 1].work) &&
		    results[i] != results[i - 1]) {
			fprintf(stderr, "%s_%s_%d called something else\n", all[i].work, all[i].form,
				all[i].skip);
			return 1;
		}
	}
	for (const struct sample *sample = samples; sample < next; sample++) {
		const struct loop *loop = sample->loop;

		printf("%s/%s/%d %.4f\n", is_flush ? "flush" : loop->work, loop->form, loop->skip,
		       sample->nanoseconds);
	}
	print_process();
	return 0;
}
