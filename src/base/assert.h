/* pp_assert: what our own code promises, checked in every build, release included.
 * Never for what a peer, a user or the kernel decides: those are errors (base/error.h). */
#ifndef PP_BASE_ASSERT_H
#define PP_BASE_ASSERT_H

#include <stdlib.h>
#include <stdio.h>

#define pp_assert(condition)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            pp_assert_failed(#condition, __FILE__, __LINE__);                                      \
    } while (0)

static inline _Noreturn void pp_assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "pingpong: broken promise: %s (%s:%d); please report this\n", condition,
                  file, line);
    abort();
}

#endif
