/* Loads and unloads shared objects that call this program's keys, with updates in between. */
#include <string.h>

#include "plugin_host.h"

int host_default(int a) { return a + 1; }
static int host_other(int a) { return a + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);

static size_t sites(void)
{
	struct static_call_info info;
	static_call_key_info(host_key, &info);
	return info.sites;
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	size_t own = sites();
	for (int round = 0; round < 50; round++) {
		void *plugins[2] = { NULL, NULL };
		int expected = round % 2 ? 12 : 11;
		CHECK(static_call(host_key, 10) == expected);
		/* In both orders, and sometimes only one of them. */
		for (int i = 0; i < 2; i++) {
			int which = (round + i) % 2;
			if (round % 3 == 0 && i == 1)
				continue;
			plugins[which] = load(argv[1 + which]);
		}
		for (int i = 0; i < 2; i++) {
			if (!plugins[i])
				continue;
			plugin_call *call, *own_call;
			plugin_update *update;
			*(void **)&call = symbol(plugins[i], "plugin_call_host");
			*(void **)&own_call = symbol(plugins[i], "plugin_call_own");
			*(void **)&update = symbol(plugins[i], "plugin_update_own");
			CHECK(call(10) == expected);
			CHECK(own_call(10) == 20 && update() == 0 && own_call(10) == 30);
		}
		CHECK(static_call_update(host_key, round % 2 ? host_default : host_other) == 0);
		expected = round % 2 ? 11 : 12;
		CHECK(static_call(host_key, 10) == expected);
		for (int i = 0; i < 2; i++) {
			if (!plugins[i])
				continue;
			plugin_call *call;
			*(void **)&call = symbol(plugins[i], "plugin_call_host");
			CHECK(call(10) == expected);
			CHECK(own == 0 || sites() > own);
			CHECK(dlclose(plugins[i]) == 0);
		}
		CHECK(sites() == own);
	}
	report();
	return 0;
}
