#include "plugin.h"

int host_default(int a);
DECLARE_STATIC_CALL(host_key, host_default);

typedef int plugin_call(int a);
typedef int plugin_update(void);
