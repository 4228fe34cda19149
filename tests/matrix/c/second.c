#include "matrix.h"

/* The same name as in the first file, but another key. */
static DEFINE_STATIC_CALL(own, plain);
static struct static_call_key table[] = { STATIC_CALL_INIT(plain), STATIC_CALL_INIT(plain) };

static int call(int value) { return static_call(own, 5, value) + 1; }
static int other_files(int value) { return static_call(shared, 6, value) + 1; }
static int in_table(int value) { return static_call_at(target, &table[1], 7, value) + 1; }

const struct file second = {
	{ { call, 1 }, { other_files, 1 }, { in_table, 1 } },
	{ &STATIC_CALL_KEY(own), &table[1] },
	{ NULL, NULL, NULL },
};
