/* Updates a key that the shared objects in the arguments call. tests/instructions.rs counts the
 * instructions with callgrind. With -DPLUGIN this is the shared object. */
#include "plugin.h"

int one(int a);
DECLARE_STATIC_CALL(key, one);

#ifdef PLUGIN
__attribute__((visibility("default"))) int plugin(int a);
int plugin(int a) { return static_call(key, a) * 10; }
#else
int one(int a) { return a + 1; }
static int two(int a) { return a + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(key, one);

int main(int argc, char **argv)
{
	int (*plugins[argc])(int);
	for (int i = 1; i < argc; i++) {
		*(void **)&plugins[i] = symbol(load(argv[i]), "plugin");
	}
	CHECK(static_call_update(key, two) == 0);
	for (int i = 1; i < argc; i++)
		CHECK(plugins[i](1) == 30);
	report();
	return 0;
}
#endif
