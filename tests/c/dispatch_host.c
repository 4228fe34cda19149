/* Loads a shared object whose keys dispatch, after the seal if there is a second argument. */
#include <dlfcn.h>

#include "check.h"

static int same(int a) { return a; }
DEFINE_STATIC_CALL(host_key, same);

int main(int argc, char **argv)
{
	int (*function)(int);

	CHECK(argc > 1 && static_call(host_key, 1) == 1);
	if (argc > 2 && static_call_seal()) {
	}
	void *plugin = dlopen(argv[1], RTLD_NOW);
	if (!plugin)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(plugin);
	const int *early = dlsym(plugin, "early");
	CHECK(early && (*early == 1 || *early == 2));
	CHECK((function = (int (*)(int))dlsym(plugin, "plugin_call")) && function(1) == 3);
	CHECK((function = (int (*)(int))dlsym(plugin, "plugin_query")) && function(1) == 3);
	CHECK(static_call_update(host_key, same) == (argc > 2 ? -EROFS : 0));
	report();
	return 0;
}
