// Under ThinLTO it imports functions of machine.c, and with them declarations of trampolines.
int call(int);
int tail(int);

int imports(int x) { return call(x) + tail(x); }
