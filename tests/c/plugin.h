/* Shared by the programs that load shared objects. Link with -ldl. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <dlfcn.h>

#include "check.h"

__attribute__((unused)) static void *load(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (plugin == NULL)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(plugin != NULL);
	return plugin;
}

__attribute__((unused)) static void *symbol(void *plugin, const char *name)
{
	void *found = dlsym(plugin, name);
	CHECK(found != NULL);
	return found;
}

#endif
