/* A shared object that is loaded when code can no longer be written stays on its trampolines. The
 * program's own calls stay direct and unchanged. */
#include "restrict.h"

#include "plugin_host.h"

int host_default(int a) { return a + 1; }
static int host_other(int a) { return a + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);

int main(int argc, char **argv)
{
	CHECK(argc == 2 && static_call(host_key, 1) == 2);
	if (forbid_executable_memory())
		return 77;
	struct static_call_info before, after;
	static_call_process_info(&before);
	void *plugin = load(argv[1]);
	static_call_process_info(&after);
	CHECK(after.sites > before.sites && after.direct == before.direct);

	plugin_call *call, *own_call;
	plugin_update *update;
	*(void **)&call = symbol(plugin, "plugin_call_host");
	*(void **)&own_call = symbol(plugin, "plugin_call_own");
	*(void **)&update = symbol(plugin, "plugin_update_own");
	/* Only the plugin calls its key, so it may change. */
	CHECK(own_call(10) == 20 && update() == 0 && own_call(10) == 30);
	int expected = before.direct > 0 || static_call_mode() == STATIC_CALL_MODE_TRAMPOLINE ? -EACCES : 0;
	CHECK(static_call_update(host_key, host_other) == expected);
	CHECK(static_call(host_key, 10) == (expected ? 11 : 12) && call(10) == static_call(host_key, 10));
	CHECK(dlclose(plugin) == 0);
	report();
	return 0;
}
