/* The check for direct calls, as in keys/src/check.rs for Rust: every call in the source passes a number
 * of its own to its target. */
#ifndef MATRIX_H
#define MATRIX_H

#include <static_branch.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int target(int call, int value);

/* A function of the source that makes one call. */
struct site {
	int (*run)(int value);
	int plus; /* what it adds to the call's result */
};

/* A branch of the source, and its key. */
struct branch {
	const char *name;
	bool (*is_on)(void);
	struct static_key_false *key;
};

/* The calls of one file and the keys that it defines: up to `sites` with a function, up to `keys` that are
 * not NULL. A branch with a name, if it has one. */
struct file {
	struct site sites[8];
	struct static_call_key *keys[4];
	struct branch branch;
};

extern const struct file first, second, third;
DECLARE_STATIC_CALL(shared, target);

/* The first target of all keys. */
int plain(int call, int value);

__attribute__((visibility("default"))) void matrix_check(void);

/* Compiled into every file that calls it. */
static inline int in_header(int value) { return static_call(shared, 1, value) + 1; }

#ifdef __cplusplus
}
#endif
#endif
