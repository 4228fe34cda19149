/* static_call_seal() tells the truth about every image. A plugin, which may have its own runtime, is
 * loaded before or after the seal. */
#include <errno.h>
#include <string.h>

#include "fork.h"
#include "plugin.h"

int host_default(int a);
int host_default(int a) { return a + 1; }
static int host_other(int a) { return a + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);

int main(int argc, char **argv)
{
	CHECK(argc == 4);
	const int is_late = strcmp(argv[2], "late") == 0, is_sealed = strcmp(argv[3], "sealed") == 0;
	CHECK(static_call(host_key, 1) == 2 && static_call_update(host_key, host_other) == 0);
	void *plugin = NULL;
	if (is_late)
		CHECK(static_call_seal() == 0);
	plugin = load(argv[1]);
	int (*call)(int), (*update)(void);
	void *(*key)(void);
	*(void **)&call = symbol(plugin, "plugin_call");
	*(void **)&update = symbol(plugin, "plugin_update");
	*(void **)&key = symbol(plugin, "plugin_key");
	CHECK(call(5) == 10);
	/* Without the pass, only an update makes a key known. */
	const int error = update();
	CHECK(error == (is_late ? -EROFS : 0) && call(5) == (is_late ? 10 : 15));
	for (int i = 0; i < 2; i++) {
		CHECK(static_call_seal() == (is_sealed ? 0 : -EACCES));
		CHECK(faults(key()) == is_sealed);
		CHECK(faults((char *)&STATIC_CALL_KEY(host_key)));
	}
	CHECK(update() == -EROFS && static_call_update(host_key, host_default) == -EROFS);
	CHECK(call(5) == (is_late ? 10 : 15) && static_call(host_key, 1) == 3);
	/* An unloaded image no longer counts. */
	CHECK(dlclose(plugin) == 0);
	CHECK(static_call_seal() == 0 && static_call(host_key, 1) == 3);
	report();
	return 0;
}
