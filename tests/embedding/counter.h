/* A library that uses static calls. Its users see nothing of static-call. */
#ifndef COUNTER_H
#define COUNTER_H
#ifdef __cplusplus
extern "C" {
#endif

#ifndef COUNTER
#define COUNTER(name) counter_##name
#endif

/* Calls the library's key: 1 more than x, and after the switch 2 times x. */
int COUNTER(step)(int x);
/* 0, or why the key was not updated. */
int COUNTER(switch)(void);
/* How many calls are direct in the images that this library's runtime knows, and how many calls there are. */
int COUNTER(direct)(void);
int COUNTER(sites)(void);
/* Seals the process. */
int COUNTER(seal)(void);

#ifdef __cplusplus
}
#endif
#endif
