/* The same with a key in the program's own struct, which cannot be sealed. */
#define IN_STRUCT
#include "sealed.c"
