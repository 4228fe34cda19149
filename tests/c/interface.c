/* Every name of static_call.h and static_call_registry.h, in the oldest C and C++ that they support, also
 * compiled as C++. branch_interface.c has those of static_branch.h.
 *
 * tests/tests/c_header.rs checks that none is missing. The names here differ from the headers', so macros
 * with all other names of the headers may precede it.
 *
 * Users define these: STATIC_CALL_POINTERS, STATIC_CALL_RETPOLINES, STATIC_CALL_WITH_PASS,
 * STATIC_CALL_WITHOUT_LIBRARY. */
#include <static_call.h>

#include <static_branch.h>
#include <static_call_registry.h>

/* These field names are documented, so users have no macros of these names. */
#undef keys
#undef sites
#undef direct
#undef through_trampoline
#undef images
#undef branches
#undef patched_branches
#undef target
#undef count
#undef info
#undef state
#undef name

#define EXPECT(condition)                                                                           \
	do {                                                                                        \
		if (!(condition))                                                                   \
			return __LINE__;                                                            \
	} while (0)

enum colour { RED, GREEN };
static int seen;
static size_t recorded;
static int plus(int a, int b) { return a + b; }
static int minus(int a, int b) { return a - b; }
static int seven(void) { return 7; }
static int eight(void) { return 8; }
static int doubled(int a) { return a * 2; }
static void observe(int a) { seen += a; }
static void note(void) { seen++; }
static enum colour green(void) { return GREEN; }
static const char *text_of(int a) { return a ? "text" : "other"; }
typedef int binary(int a, int b);
static binary *choose_minus(void) { return minus; }

int declared_start(int a);
DECLARE_STATIC_CALL(declared_elsewhere, declared_start);
DEFINE_STATIC_CALL(declared_elsewhere, declared_start);
static DEFINE_STATIC_CALL(sum, plus);
static DEFINE_STATIC_CALL(no_arguments, seven);
static DEFINE_STATIC_CALL(one_argument, doubled);
static DEFINE_STATIC_CALL_DISPATCH(picked, plus, choose_minus);
static DEFINE_STATIC_CALL_POINTER(setting, plus);
static DEFINE_STATIC_CALL(made_pointer, plus);
static DEFINE_STATIC_CALL_NULL(hook, observe);
static DEFINE_STATIC_CALL_NULL(quiet_hook, seven);
static DEFINE_STATIC_CALL_COND(loud_hook, observe);
static DEFINE_STATIC_CALL(counted, note);
static DEFINE_STATIC_CALL_RET0(level, doubled);
static DEFINE_STATIC_CALL_RET0(tint, green);
static DEFINE_STATIC_CALL_RET0(label, text_of);
static struct static_call_key table[] = { STATIC_CALL_INIT(plus),         STATIC_CALL_INIT_NULL,
					  STATIC_CALL_INIT_RET0,          STATIC_CALL_INIT(seven),
					  STATIC_CALL_INIT_COND(observe), STATIC_CALL_INIT_POINTER(plus) };

static DEFINE_STATIC_KEY_FALSE(traced_key);

int declared_start(int a) { return a + 1; }

static int calls(void)
{
	EXPECT(static_call(sum, 5, 3) == 8 && static_call(no_arguments) == 7 &&
	       static_call(one_argument, 4) == 8);
	EXPECT(static_call(declared_elsewhere, 1) == 2 && static_call_fn(sum)(5, 3) == 8);
	EXPECT(static_call(picked, 5, 3) == 2);
	static_call_cond(hook, 1);
	static_call_cond(quiet_hook);
	EXPECT(seen == 0 && static_call(level, 5) == 0 && static_call(tint) == RED && !static_call(label, 1));
	EXPECT(static_call_at(plus, &table[0], 5, 3) == 8 && static_call_at(seven, &table[3]) == 7);
	EXPECT(static_call_fn_at(plus, &table[0])(5, 3) == 8);
	static_call_at(observe, &table[1], 1);
	EXPECT(seen == 0 && static_call_at(doubled, &table[2], 4) == 0);
	EXPECT(static_call_at(STATIC_CALL_TYPE(sum), &STATIC_CALL_KEY(sum), 5, 3) == 8);
	return 0;
}

static int updates(void)
{
	EXPECT(static_call_update(sum, minus) == 0 && static_call(sum, 5, 3) == 2 &&
	       static_call_query(sum) == minus);
	EXPECT(static_call_update(sum, &plus) == 0 && static_call(sum, 5, 3) == 8);
	EXPECT(static_call_update(hook, observe) == 0);
	static_call_cond(hook, 3);
	EXPECT(seen == 3 && static_call_update(hook, NULL) == 0 && !static_call_query(hook));
	static_call_cond(loud_hook, 1);
	static_call_at(observe, &table[4], 1);
	EXPECT(seen == 5 && static_call_update(loud_hook, NULL) == 0);
	EXPECT(static_call_update_at(observe, &table[4], NULL) == 0);
	static_call_cond(loud_hook, 1);
	static_call_at(observe, &table[4], 1);
	EXPECT(seen == 5 && !static_call_query_at(observe, &table[4]));
	seen = 3;
	EXPECT(static_call_update(counted, note) == 0 && static_call_query(counted) == note);
	static_call(counted);
	EXPECT(seen == 4);
#if !defined(nullptr) && (defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L))
	EXPECT(static_call_update(hook, nullptr) == 0);
#endif
	EXPECT(static_call_update(level, doubled) == 0 && static_call(level, 5) == 10);
	EXPECT(static_call_update_ret0(level) == 0 && static_call(level, 5) == 0);
	EXPECT(static_call_update(tint, green) == 0 && static_call(tint) == GREEN);
	EXPECT(static_call_update(label, text_of) == 0 && static_call(label, 1)[0] == 't');
	EXPECT(static_call_update_ret0_at(&table[2]) == 0);
	EXPECT(static_call_update_at(plus, &table[0], minus) == 0 &&
	       static_call_at(plus, &table[0], 5, 3) == 2);
	EXPECT(static_call_query_at(plus, &table[0]) == minus);
	return 0;
}

static int pointers(void)
{
	EXPECT(static_call(setting, 5, 3) == 8 && static_call_at(plus, &table[5], 5, 3) == 8);
	static_call_set(setting, minus);
	static_call_set_at(plus, &table[5], &minus);
	EXPECT(static_call(setting, 5, 3) == 2 && static_call_at(plus, &table[5], 5, 3) == 2);
	EXPECT(static_call_make_pointer(made_pointer) == 0 && static_call(made_pointer, 5, 3) == 8);
	EXPECT(static_call_make_pointer_at(&table[0]) == 0);
	static_call_set(made_pointer, minus);
	EXPECT(static_call(made_pointer, 5, 3) == 2 && static_call_update(made_pointer, plus) == 0);
	return 0;
}

static int batches(void)
{
	struct static_call_change both[] = { STATIC_CALL_CHANGE(sum, minus),
					     STATIC_CALL_CHANGE_AT(plus, &table[0], plus),
					     STATIC_CALL_CHANGE_RET0(level),
					     STATIC_CALL_CHANGE_RET0_AT(&table[2]),
					     STATIC_CALL_CHANGE(no_arguments, eight) };
	EXPECT(static_call_update_batch(both, sizeof both / sizeof both[0]) == 0);
	EXPECT(static_call(sum, 5, 3) == 2 && static_call(no_arguments) == 8);
	EXPECT(static_call_update_batch(both, 5) == 0);
	EXPECT(static_call(sum, 5, 3) == 8 && static_call(no_arguments) == 7);
	return 0;
}

static int is_traced(void) { return static_branch_unlikely(&traced_key) ? 1 : 0; }

static int names(void)
{
	struct static_call_entry each = STATIC_CALL_FIRST;
	int matched = 0;

	while (static_call_next("trace?_*", &each) > 0) {
		EXPECT(each.state == STATIC_CALL_STATE_BRANCH && each.count == 0 && each.name[0] == 't');
		EXPECT(each.info.sites == 0 && !each.target);
		matched++;
	}
	/* Whatever flags pack structs. */
	EXPECT(__alignof__(struct static_key) == __alignof__(struct static_call_key) &&
	       __alignof__(struct static_key_true) == __alignof__(struct static_call_key) &&
	       __alignof__(struct static_key_false) == __alignof__(struct static_call_key));
	/* Only images with recorded calls or branches are known. */
	EXPECT(matched <= 1);
	EXPECT(static_branch_enable_matching("trace?_*", &each) == matched && is_traced() == matched);
	EXPECT(static_branch_disable_matching("trace?_*", NULL) == matched && !is_traced());
	EXPECT(static_branch_inc_matching("trace?_*", &each) == matched && is_traced() == matched);
	EXPECT(static_branch_dec_matching("trace?_*", &each) == matched && each.name[0] == 0);
	EXPECT(STATIC_CALL_STATE_CALLS == 0 && STATIC_CALL_STATE_NULL == 1 && STATIC_CALL_STATE_RET0 == 2 &&
	       sizeof(enum static_call_state) <= sizeof each.state);
	return 0;
}

static size_t sites_of(struct static_call_key *pointer)
{
	struct static_call_info counted;
	static_call_key_info_at(pointer, &counted);
	return counted.sites;
}

static int counts(void)
{
	struct static_call_info all, one, same;
	const enum static_call_mode mode = static_call_mode();
	const enum static_call_writer writer = static_call_writer();

	static_call_process_info(&all);
	static_call_key_info(no_arguments, &one);
	static_call_key_info_at(&STATIC_CALL_KEY(no_arguments), &same);
	EXPECT(all.sites == all.direct + all.through_trampoline && one.keys <= all.keys &&
	       one.sites <= all.sites);
	EXPECT(one.sites == same.sites && all.images <= 1 && static_call_mode_reason()[0] != 0);
	EXPECT(mode == STATIC_CALL_MODE_GENERIC || mode == STATIC_CALL_MODE_TRAMPOLINE ||
	       mode == STATIC_CALL_MODE_INLINE);
	EXPECT(writer == STATIC_CALL_WRITER_NONE || writer == STATIC_CALL_WRITER_WINDOW ||
	       writer == STATIC_CALL_WRITER_BREAKPOINT || writer == STATIC_CALL_WRITER_CUSTOM ||
	       writer == STATIC_CALL_WRITER_ALIAS);
	/* Without the pass only branches are counted. */
	EXPECT(mode != STATIC_CALL_MODE_INLINE || all.sites > 20 || (all.sites == 0 && all.branches > 0));
	EXPECT(all.patched_branches == (mode == STATIC_CALL_MODE_INLINE ? all.branches : 0));
	recorded = all.sites;
	/* All calls are direct but those of pointers. */
	EXPECT(mode != STATIC_CALL_MODE_INLINE ||
	       all.sites - all.direct == sites_of(&STATIC_CALL_KEY(setting)) + sites_of(&table[0]) +
						 sites_of(&STATIC_CALL_KEY(made_pointer)) +
						 sites_of(&table[5]));
	return 0;
}

static int forms(void)
{
	const unsigned hook_form = STATIC_CALL_KEY(hook).__flags & 3,
		       level_form = STATIC_CALL_KEY(level).__flags & 3;

	EXPECT(hook_form == STATIC_CALL_FORM_NOP && level_form == STATIC_CALL_FORM_ZERO);
	EXPECT((STATIC_CALL_KEY(sum).__form & 3) == STATIC_CALL_FORM_CALL && STATIC_CALL_FORM_OFF_CALL == 3);
	EXPECT(STATIC_CALL_KEY(sum).__flags >> 16 == STATIC_CALL_VERSION);
	return 0;
}

int main(void)
{
	int line = calls();

	line = line ? line : updates();
	line = line ? line : pointers();
	line = line ? line : batches();
	line = line ? line : names();
	line = line ? line : counts();
	line = line ? line : forms();
	/* Without the pass, no key lies where it can become read-only. */
	if (!line &&
	    ((static_call_seal() != 0 && static_call_mode() != STATIC_CALL_MODE_GENERIC && recorded) ||
	     static_call_update(sum, minus) == 0))
		line = __LINE__;
	return line > 255 ? 255 : line;
}
