// Under ThinLTO this file imports functions of machine.c, and so declarations of trampolines.
int call(int);
int tail(int);

int imports(int x) { return call(x) + tail(x); }
