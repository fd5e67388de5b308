#include "io/rseq.h"

#include "io/loop.h"

#if __has_include(<sys/rseq.h>) /* glibc 2.35 */

#include <stdint.h>
#include <sys/auxv.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of Linux 6.3; older headers lack them, and older kernels answer 0. */
#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN 28
#endif

#define FIRST_BYTES 32 /* the structure as it was in the beginning, which is the least */

/* The length that the C library has registered, which the kernel wants to hear again. */
static unsigned long registered_bytes(void)
{
    const unsigned long bytes = getauxval(AT_RSEQ_FEATURE_SIZE);
    const unsigned long align = getauxval(AT_RSEQ_ALIGN);

    return bytes > FIRST_BYTES && align > 0 ? (bytes + align - 1) / align * align : FIRST_BYTES;
}

void pp_io_rseq_leave(struct pp_io_loop *loop)
{
    char *thread = __builtin_thread_pointer();

    if (__rseq_size == 0)
        return;
    pp_io_count_syscall(loop);
    (void)syscall(SYS_rseq, thread + __rseq_offset, registered_bytes(), RSEQ_FLAG_UNREGISTER,
                  RSEQ_SIG);
}

#else

void pp_io_rseq_leave(struct pp_io_loop *loop)
{
    (void)loop;
}

#endif
