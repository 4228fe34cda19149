/* The program and a shared object that it loads each have their own runtime, and share a key. An update by
 * either of them reaches the calls of both, or fails and changes nothing. */
#include "plugin_host.h"

int host_default(int a) { return a + 1; }
static int host_other(int a) { return a + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	void *plugin = load(argv[1]);
	plugin_call *call;
	plugin_update *update;
	*(void **)&call = symbol(plugin, "plugin_call_host");
	*(void **)&update = symbol(plugin, "plugin_update_host");
	CHECK(static_call(host_key, 10) == 11 && call(10) == 11);
	int result = update();
	CHECK(static_call(host_key, 10) == (result ? 11 : 30) && call(10) == static_call(host_key, 10));
	int before = call(10);
	result = static_call_update(host_key, host_other);
	CHECK(static_call(host_key, 10) == (result ? before : 12) && call(10) == static_call(host_key, 10));
	report();
	return 0;
}
