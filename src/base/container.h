/* From a pointer to a member back to the struct that owns it; and how long an array is. */
#ifndef PP_BASE_CONTAINER_H
#define PP_BASE_CONTAINER_H

#include <stddef.h>

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

#endif
