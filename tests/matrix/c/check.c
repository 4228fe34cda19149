/* Makes all calls and finds out which of them are direct: while the keys hold another function's address,
 * only calls that load a key reach that function. The same for branches. */
#include <stdio.h>
#include <stdlib.h>

#include "matrix.h"

#define CALLS 64

static volatile bool is_direct[CALLS], is_loaded[CALLS];
static volatile int last;

static const struct file *const files[] = {
	&first,
	&second,
#ifndef WITHOUT_CPP
	&third,
#endif
};
#define FOR_EACH_FILE(file)                                                                          \
	for (const struct file *const *file = files; file != files + sizeof files / sizeof *files; file++)

int plain(int call, int value)
{
	last = call;
	return value + call;
}

static int doubled(int call, int value)
{
	last = call;
	return 2 * value + call;
}

static int direct(int call, int value)
{
	is_direct[call] = true;
	return plain(call, value);
}

static int loaded(int call, int value)
{
	is_loaded[call] = true;
	return plain(call, value);
}

/* Makes all calls, which must reach `expected`. */
static void run(target *expected)
{
	int value = 1000;
	FOR_EACH_FILE(file)
	for (const struct site *site = (*file)->sites; site->run != NULL; site++, value += 1000) {
		const int result = site->run(value);
		const int call = last;
		if (result != expected(call, value) + site->plus) {
			fprintf(stderr, "call %d: %d is wrong\n", call, result);
			abort();
		}
	}
}

static void update(target *to)
{
	FOR_EACH_FILE(file)
	for (struct static_call_key *const *key = (*file)->keys; *key != NULL; key++)
		if (static_call_update_at(target, *key, to) != 0)
			abort();
}

/* Stores to the keys without telling the runtime. */
static void store(target *to)
{
	FOR_EACH_FILE(file)
	for (struct static_call_key *const *key = (*file)->keys; *key != NULL; key++)
		__atomic_store_n(&(*key)->__target, (__static_call_function *)to, __ATOMIC_RELAXED);
}

/* Switches all branches, and prints the names of those that do not follow what is stored to their keys behind
 * the runtime's back. */
static void check_branches(void)
{
	printf("patched");
	FOR_EACH_FILE(file)
	{
		const struct branch *branch = &(*file)->branch;
		struct static_key_false *key = branch->key;

		if (!key)
			continue;
		__static_call_function **count = &key->key.__key.__target;
		if (static_branch_disable(key) || branch->is_on() || static_branch_enable(key) ||
		    !branch->is_on())
			abort();
		__atomic_store_n(count, NULL, __ATOMIC_RELAXED);
		if (branch->is_on())
			printf(" %s", branch->name);
		__atomic_store_n(count, (__static_call_function *)(intptr_t)1, __ATOMIC_RELAXED);
		if (static_branch_disable(key) || branch->is_on())
			abort();
	}
	printf("\n");
}

static void print(const char *what, const volatile bool *calls)
{
	printf("%s", what);
	for (int call = 0; call < CALLS; call++)
		if (calls[call])
			printf(" %d", call);
	printf("\n");
}

void matrix_check(void)
{
	static const char *const modes[] = { "generic", "trampoline", "inline" };
	struct static_call_info info;

	run(plain);
	update(doubled);
	run(doubled);
	update(direct);
	store(loaded);
	run(plain);
	store(direct);
	update(doubled);
	run(doubled);

	check_branches();
	printf("sealed %s\n", static_call_seal() == 0 ? "yes" : "no");
	run(doubled);
	static_call_process_info(&info);
	printf("mode %s\n", modes[static_call_mode()]);
	printf("sites %zu\n", info.sites);
	printf("direct %zu\n", info.direct);
	printf("branches %zu %zu\n", info.branches, info.patched_branches);
	print("reached", is_direct);
	print("loaded", is_loaded);
}
