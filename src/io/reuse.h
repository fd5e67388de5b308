/* For the thread sanitizer, which knows of a descriptor what the C library's calls tell it. Of one
 * that the ring closes it hears nothing, and takes whoever gets the number next for a thread that
 * meddles with it. Private to src/io; without that sanitizer, nothing. */
#ifndef PP_IO_REUSE_H
#define PP_IO_REUSE_H

#if defined(__SANITIZE_THREAD__)
#define PP_IO_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PP_IO_THREAD_SANITIZER 1
#endif
#endif

#ifdef PP_IO_THREAD_SANITIZER
#include "io/engine.h"

#include <sanitizer/tsan_interface.h>

extern const struct pp_io_engine pp_io_engine_io_uring; /* a name for what is handed on */

/* About to have a descriptor closed: what this thread has done with it is over by then. */
static inline void pp_io_number_released(void)
{
    __tsan_release((void *)(uintptr_t)&pp_io_engine_io_uring);
}

/* About to get a descriptor, whose number may be that of one closed before. */
static inline void pp_io_number_taken(void)
{
    __tsan_acquire((void *)(uintptr_t)&pp_io_engine_io_uring);
}

#else

static inline void pp_io_number_released(void)
{
}

static inline void pp_io_number_taken(void)
{
}

#endif
#endif
