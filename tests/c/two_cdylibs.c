/* Loads two Rust shared objects, each with its own copy of the runtime. The copies may or may not see each
   other. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef unsigned run(unsigned);

int main(int argc, char **argv)
{
	run *runs[2];
	if (argc != 4)
		return 2;
	for (int i = 0; i < 2; i++) {
		void *plugin = dlopen(argv[1 + i], RTLD_NOW | (atoi(argv[3]) ? RTLD_GLOBAL : RTLD_LOCAL));
		if (plugin == NULL) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		*(void **)&runs[i] = dlsym(plugin, "plugin_run");
	}
	printf("%u %u %u\n", runs[0](5), runs[1](5), runs[0](6));
	return 0;
}
