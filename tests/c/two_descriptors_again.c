/* Compiled without the pass, which reserves such names. */
#include <stdint.h>
#include <string.h>

struct image {
	uint32_t version, state;
	void *rest[14];
};
extern struct image __static_call_image __attribute__((visibility("hidden")));
void __static_call_register(struct image *image);

void register_again(void)
{
	static struct image copy;
	memcpy(copy.rest, __static_call_image.rest, sizeof copy.rest);
	copy.version = __static_call_image.version;
	__static_call_register(&copy);
}
