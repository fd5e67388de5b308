/* Restartable sequences. */
#include "io/kernel/kernel.h"
#include "io/loop.h"

#if __has_include(<sys/rseq.h>) /* glibc 2.35 */
#include <sys/rseq.h>
#endif

#ifdef RSEQ_SIG /* not on every machine */

#include <sys/syscall.h>
#include <unistd.h>

#define REGISTERED_BYTES_MIN 32 /* however little of it the kernel uses */

bool pp_io_leave_rseq(void)
{
    const unsigned bytes = __rseq_size > REGISTERED_BYTES_MIN ? __rseq_size : REGISTERED_BYTES_MIN;
    char *thread = __builtin_thread_pointer();

    if (__rseq_size == 0)
        return false;
    (void)syscall(SYS_rseq, thread + __rseq_offset, bytes, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
    return true;
}

#else

bool pp_io_leave_rseq(void)
{
    return false;
}

#endif

void pp_kernel_thread_enter(struct pp_io_loop *loop)
{
    if (pp_io_leave_rseq())
        pp_io_count_syscall(loop);
}
