/* After static_call_seal() no update is accepted, and writes to keys, records and sites fault. Calls still
 * work, also in a plugin that is loaded and unloaded afterwards. */
#include <errno.h>
#include <string.h>

#include "fork.h"
#include "plugin_host.h"

int host_default(int a) { return a + 1; }
static int host_other(int a) { return a + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);
static DEFINE_STATIC_CALL_NULL(hook, void(int *));
static DEFINE_STATIC_CALL_RET0(flag, int(void));
#ifdef IN_STRUCT
static struct {
	int x;
	struct static_call_key key;
} in_struct = { 1, STATIC_CALL_INIT(host_default) };
#else
static struct {
	int x;
} in_struct = { 1 };
#endif

extern char records[] __asm__("__start_static_call_records") __attribute__((weak));
extern char sites[] __asm__("__start_static_call_sites") __attribute__((weak));

static int all(int a)
{
	int sum = static_call(host_key, a) + static_call(flag);
	static_call_cond(hook, &sum);
	return sum;
}

int main(int argc, char **argv)
{
	struct static_call_info info;
	static_call_process_info(&info);
	const int has_pass = info.sites > 0;
	int expected = has_pass ? 0 : -EACCES;
#ifdef IN_STRUCT
	CHECK(static_call_at(host_default, &in_struct.key, 1) == 2);
	expected = -EACCES;
#endif

	CHECK(all(1) == 2 && static_call_update(host_key, host_other) == 0 && all(1) == 3);
	CHECK(!faults((char *)&STATIC_CALL_KEY(host_key)));
	CHECK(static_call_seal() == expected);
	CHECK(static_call_seal() == expected);

	CHECK(static_call_update(host_key, host_default) == -EROFS);
	CHECK(static_call_update(host_key, host_other) == -EROFS);
	CHECK(static_call_update(hook, NULL) == -EROFS && static_call_update_ret0(flag) == -EROFS);
	struct static_call_change change[] = { STATIC_CALL_CHANGE(host_key, host_default) };
	CHECK(static_call_update_batch(change, 1) == -EROFS && static_call_update_batch(change, 0) == 0);
	CHECK(all(1) == 3 && static_call_query(host_key) == host_other);
	if (has_pass) {
		CHECK(faults((char *)&STATIC_CALL_KEY(host_key)) && faults((char *)&STATIC_CALL_KEY(hook)));
		CHECK(faults((char *)&STATIC_CALL_KEY(flag)) && faults(records) && faults(sites));
	}
	CHECK(!faults((char *)&in_struct.x));

	if (argc > 1) {
		struct static_call_info with, after;
		for (int i = 0; i < 3; i++) {
			void *plugin = load(argv[1]);
			plugin_call *call, *own_call;
			plugin_update *update, *update_host;
			*(void **)&call = symbol(plugin, "plugin_call_host");
			*(void **)&own_call = symbol(plugin, "plugin_call_own");
			*(void **)&update = symbol(plugin, "plugin_update_own");
			*(void **)&update_host = symbol(plugin, "plugin_update_host");
			CHECK(call(10) == 12 && own_call(10) == 20);
			CHECK(update() == -EROFS && update_host() == -EROFS && call(10) == 12 &&
			      own_call(10) == 20);
			static_call_process_info(&with);
			CHECK(!has_pass || with.images == 2);
			void *(*key)(void);
			*(void **)&key = symbol(plugin, "plugin_key");
			CHECK(faults(key()) == has_pass);
			CHECK(dlclose(plugin) == 0);
			static_call_process_info(&after);
			CHECK(after.images == info.images && after.sites == info.sites);
			CHECK(all(1) == 3);
		}
	}
	report();
	return 0;
}
