/* Keys that belong to no module: one of C, and one of C++ that the program defines. */
#include <static_call.h>

#ifdef __cplusplus
extern "C" {
#endif
int in_c(int a);
#ifdef __cplusplus
}
#endif
DECLARE_STATIC_CALL(key_of_c, int(int));
