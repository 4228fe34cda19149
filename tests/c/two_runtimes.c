/* The program and a shared object that it loads are each linked with a runtime of their own, and share a
 * key: an update by either of them reaches the calls of both, or fails and changes nothing. */
#include <dlfcn.h>

#include "plugin_host.h"

int host_default(int a) { return a + 1; }
static int host_other(int a) { return a + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	CHECK(plugin != NULL);
	plugin_call *call;
	plugin_update *update;
	*(void **)&call = dlsym(plugin, "plugin_call_host");
	*(void **)&update = dlsym(plugin, "plugin_update_host");
	CHECK(static_call(host_key, 10) == 11 && call(10) == 11);
	int result = update();
	CHECK(static_call(host_key, 10) == (result ? 11 : 30) && call(10) == static_call(host_key, 10));
	int before = call(10);
	result = static_call_update(host_key, host_other);
	CHECK(static_call(host_key, 10) == (result ? before : 12) && call(10) == static_call(host_key, 10));
	report();
	return 0;
}
