/* The registry. With no argument the program checks it; otherwise it says which keys are on, or does so after
 * it has loaded a plugin (registry_plugin.c). */
#include <string.h>

#include "plugin.h"
#include <static_branch.h>
#include <static_call_registry.h>

static DEFINE_STATIC_KEY_FALSE(net_trace);
static DEFINE_STATIC_KEY_FALSE(net_check);
static DEFINE_STATIC_KEY_TRUE(disk_check);

/* Nobody asks for them. They are more than fit where few do. */
#define TEN(key) key(0) key(1) key(2) key(3) key(4) key(5) key(6) key(7) key(8) key(9)
#define DEFINE_MANY(n)                                                                              \
	DEFINE_STATIC_KEY_FALSE(many_1##n);                                                         \
	DEFINE_STATIC_KEY_FALSE(many_2##n);                                                         \
	DEFINE_STATIC_KEY_FALSE(many_3##n);                                                         \
	DEFINE_STATIC_KEY_FALSE(many_4##n);
TEN(DEFINE_MANY)

static int one(void) { return 1; }
static int two(void) { return 2; }
static void see(void) {}
static DEFINE_STATIC_CALL(chosen, one);
static DEFINE_STATIC_CALL_NULL(hook, see);
static DEFINE_STATIC_CALL_RET0(level, one);

__attribute__((noinline)) static int ways(void)
{
	static_call_cond(hook);
	return static_branch_unlikely(&net_trace) << 3 | static_branch_likely(&net_check) << 2 |
	       static_branch_likely(&disk_check) << 1 | (static_call(chosen) + static_call(level) > 1);
}

/* How many keys match, and what the last one of them is. */
static int listed(const char *pattern, struct static_call_entry *last)
{
	struct static_call_entry entry = STATIC_CALL_FIRST;
	int found, count = 0;

	while ((found = static_call_next(pattern, &entry)) == 1) {
		count++;
		*last = entry;
	}
	CHECK(found == 0);
	return count;
}

static struct static_call_entry the(const char *name)
{
	struct static_call_entry entry = STATIC_CALL_FIRST;

	CHECK(listed(name, &entry) == 1 && strcmp(entry.name, name) == 0);
	return entry;
}

static void check_list(void)
{
	struct static_call_entry entry;
	struct static_call_info info;

	CHECK(listed("net_*", &entry) == 2 && listed("many_??", &entry) == 40);
	CHECK(listed("net", &entry) == 0 && listed("", &entry) == 0);
	CHECK(the("net_trace").state == STATIC_CALL_STATE_BRANCH && the("net_trace").count == 0);
	CHECK(the("disk_check").state == STATIC_CALL_STATE_BRANCH && the("disk_check").count == 1);
	static_call_key_info(chosen, &info);
	if (info.keys == 0) {
		CHECK(listed("chosen", &entry) == 0);
		puts("calls load their keys");
		return;
	}
	CHECK(the("chosen").state == STATIC_CALL_STATE_CALLS);
	CHECK(the("chosen").target == (__static_call_function *)one);
	CHECK(the("hook").state == STATIC_CALL_STATE_NULL && the("hook").target == NULL);
	CHECK(the("level").state == STATIC_CALL_STATE_RET0 && the("level").target == NULL);
	CHECK(static_call_update(chosen, two) == 0 && static_call_update(hook, see) == 0);
	CHECK(the("chosen").target == (__static_call_function *)two);
	CHECK(the("hook").state == STATIC_CALL_STATE_CALLS);
	static_call_key_info(chosen, &info);
	entry = the("chosen");
	CHECK(memcmp(&info, &entry.info, sizeof info) == 0);
	CHECK(static_call_update(chosen, one) == 0 && static_call_update(hook, NULL) == 0);
}

/* Anything may be done in the middle of a walk. */
static void check_steps(void)
{
	struct static_call_entry entry = STATIC_CALL_FIRST;
	int count = 0;

	while (static_call_next("*_check", &entry) == 1) {
		CHECK(static_branch_inc_matching(entry.name, NULL) == 1);
		free(malloc(100));
		count++;
	}
	CHECK(count == 2 && static_key_count(&net_check) == 1 && static_key_count(&disk_check) == 2);
	CHECK(static_branch_dec_matching("*_check", &entry) == 2 && entry.name[0] == 0);
}

static void check_switches(void)
{
	struct static_call_entry failed;

	CHECK(ways() == 2);
	CHECK(static_branch_enable_matching("net_*", &failed) == 2 && ways() == 14);
	CHECK(static_branch_enable_matching("net_*", NULL) == 2 && static_key_count(&net_trace) == 1);
	CHECK(static_branch_disable_matching("*_check", &failed) == 2 && ways() == 8);
	CHECK(static_branch_inc_matching("net_trace", &failed) == 1 && static_key_count(&net_trace) == 2);
	/* All or none. */
	CHECK(static_branch_disable_matching("*", &failed) == -ERANGE && ways() == 8);
	CHECK(strcmp(failed.name, "net_trace") == 0 && failed.count == 2);
	CHECK(static_branch_dec_matching("*t_*", &failed) == -ERANGE && static_key_count(&net_trace) == 2);
	CHECK(strcmp(failed.name, "net_check") == 0);
	CHECK(static_branch_dec_matching("net_trace", NULL) == 1);
	CHECK(static_branch_disable_matching("*", &failed) == 43 && ways() == 0);
	CHECK(static_branch_inc_matching("many_*", &failed) == 40);
	CHECK(static_key_enabled(&many_10) && static_key_enabled(&many_49));
	CHECK(static_branch_enable_matching("chosen", &failed) == 0 && failed.name[0] == 0);
	CHECK(static_branch_enable_matching("disk_*", &failed) == 1 && ways() == 2);
}

static void say(void)
{
	struct static_call_entry entry = STATIC_CALL_FIRST;

	printf("ways %d\n", ways());
	while (static_call_next("*", &entry) == 1)
		if (entry.state == STATIC_CALL_STATE_BRANCH && entry.count > 0)
			printf("on %s %zu\n", entry.name, entry.count);
}

int main(int argc, char **argv)
{
	struct static_call_info info;
	static_call_process_info(&info);
	if (info.images == 0) {
		puts("not registered");
		return 0;
	}
	if (argc == 1) {
		check_list();
		check_steps();
		check_switches();
		CHECK(static_call_seal() <= 0);
		CHECK(static_branch_enable_matching("net_*", NULL) == -EROFS && ways() == 2);
		CHECK(the("net_trace").count == 0);
	} else if (strcmp(argv[1], "say") == 0) {
		say();
	} else {
		int (*plugin_ways)(void);
		void *plugin = load(argv[1]);
		*(void **)&plugin_ways = symbol(plugin, "plugin_ways");
		printf("plugin %d\n", plugin_ways());
		say();
		/* What the program does later, it does itself. */
		CHECK(static_branch_disable_matching("plugin_*", NULL) == 1 && plugin_ways() == 0);
		CHECK(dlclose(plugin) == 0);
		plugin = load(argv[1]);
		*(void **)&plugin_ways = symbol(plugin, "plugin_ways");
		printf("again %d\n", plugin_ways());
	}
	puts("ok");
	return 0;
}
