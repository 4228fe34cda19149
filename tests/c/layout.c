/* Prints the layout as C sees it, for tests/tests/layout.rs to compare with the crates'. */
#include <static_call.h>
#include <stdio.h>

#define SIZE(type) printf("sizeof %s %zu\n", #type, sizeof(struct type))
#define FIELD(type, field) printf("%s.%s %zu\n", #type, #field, offsetof(struct type, field))
#define CONSTANT(name) printf("%s %zu\n", #name, (size_t)(name))

static void nothing(void) {}
static void (*choose(void))(void) { return nothing; }
static DEFINE_STATIC_CALL(plain, nothing);
static DEFINE_STATIC_CALL_NULL(hook, nothing);
static DEFINE_STATIC_CALL_RET0(level, int(void));
static __static_call_object chosen__static_call_key = __STATIC_CALL_INIT_DISPATCH(nothing, choose, "chosen");

#define KEY(key)                                                                                    \
	printf("%s %u %#x %d %s\n", #key, STATIC_CALL_KEY(key).__form, STATIC_CALL_KEY(key).__flags, \
	       STATIC_CALL_KEY(key).__off == STATIC_CALL_KEY(key).__target, STATIC_CALL_KEY(key).__name)

int main(void)
{
	SIZE(static_call_key);
	FIELD(static_call_key, __target);
	FIELD(static_call_key, __records);
	FIELD(static_call_key, __off);
	FIELD(static_call_key, __name);
	FIELD(static_call_key, __form);
	FIELD(static_call_key, __flags);
	SIZE(static_call_change);
	FIELD(static_call_change, __key);
	FIELD(static_call_change, __target);
	FIELD(static_call_change, __form);
	FIELD(static_call_change, __wish);
	SIZE(static_call_info);
	FIELD(static_call_info, keys);
	FIELD(static_call_info, sites);
	FIELD(static_call_info, direct);
	FIELD(static_call_info, through_trampoline);
	FIELD(static_call_info, images);
	FIELD(static_call_info, branches);
	FIELD(static_call_info, patched_branches);
	CONSTANT(STATIC_CALL_VERSION);
	CONSTANT(STATIC_CALL_FORM_CALL);
	CONSTANT(STATIC_CALL_FORM_NOP);
	CONSTANT(STATIC_CALL_FORM_ZERO);
	CONSTANT(STATIC_CALL_FORM_OFF_CALL);
	CONSTANT(sizeof(enum static_call_mode));
	KEY(plain);
	KEY(hook);
	KEY(level);
	KEY(chosen);
	return 0;
}
