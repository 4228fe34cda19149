/* The same with a key that lies in a struct of the program's, and so cannot be sealed. */
#define IN_STRUCT
#include "sealed.c"
