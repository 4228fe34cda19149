/* Prints the layout as C sees it, for comparison with the crates' own; see tests/tests/layout.rs. */
#include <static_call.h>
#include <stdio.h>

#define SIZE(type) printf("sizeof %s %zu\n", #type, sizeof(struct type))
#define FIELD(type, field) printf("%s.%s %zu\n", #type, #field, offsetof(struct type, field))
#define CONSTANT(name) printf("%s %zu\n", #name, (size_t)(name))

static void nothing(void) {}
static DEFINE_STATIC_CALL(plain, nothing);
static DEFINE_STATIC_CALL_NULL(hook, nothing);
static DEFINE_STATIC_CALL_RET0(level, int (void));

#define KEY(key)                                                                                    \
	printf("%s %u %#x %d %s\n", #key, STATIC_CALL_KEY(key).form, STATIC_CALL_KEY(key).flags,    \
	       STATIC_CALL_KEY(key).off == STATIC_CALL_KEY(key).target, STATIC_CALL_KEY(key).name)

int main(void)
{
	SIZE(static_call_key);
	FIELD(static_call_key, target);
	FIELD(static_call_key, records);
	FIELD(static_call_key, off);
	FIELD(static_call_key, name);
	FIELD(static_call_key, form);
	FIELD(static_call_key, flags);
	SIZE(static_call_change);
	FIELD(static_call_change, key);
	FIELD(static_call_change, target);
	FIELD(static_call_change, form);
	SIZE(static_call_info);
	FIELD(static_call_info, keys);
	FIELD(static_call_info, sites);
	FIELD(static_call_info, direct);
	FIELD(static_call_info, through_trampoline);
	FIELD(static_call_info, images);
	CONSTANT(STATIC_CALL_VERSION);
	CONSTANT(STATIC_CALL_FORM_CALL);
	CONSTANT(STATIC_CALL_FORM_NOP);
	CONSTANT(STATIC_CALL_FORM_ZERO);
	CONSTANT(STATIC_CALL_FORM_OFF_CALL);
	CONSTANT(sizeof(enum static_call_mode));
	KEY(plain);
	KEY(hook);
	KEY(level);
	return 0;
}
