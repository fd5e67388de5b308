#include "job/interrupt.h"

#include "base/leftover.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* A signal handler gets no argument, so this one thing of the program is global. */
static struct {
    atomic_int signal;
    struct pp_io_loop *_Atomic loop;
    struct pp_io_op *_Atomic op;
} interrupt;

static void wake(void)
{
    struct pp_io_loop *loop = atomic_load(&interrupt.loop);

    if (loop)
        pp_io_wake(loop, atomic_load(&interrupt.op));
}

/* The second one ends the program; what it would leave behind goes first. */
static void on_signal(int number)
{
    const int error = errno;
    int none = 0;

    if (atomic_compare_exchange_strong(&interrupt.signal, &none, number)) {
        wake();
    } else {
        pp_leftover_remove_all();
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    errno = error;
}

/* One that was ignored from the start stays so: the program runs under nohup, or in the background
 * of a script. Calls that write go on after a signal, as what they write is to be whole. */
static void take(int number)
{
    const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct sigaction before;

    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
        return;
    (void)sigaction(number, &action, NULL);
}

void pp_interrupt_install(void)
{
    take(SIGHUP);
    take(SIGINT);
    take(SIGQUIT);
    take(SIGTERM);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
}

void pp_interrupt_attach(struct pp_io_loop *loop, struct pp_io_op *op)
{
    atomic_store(&interrupt.loop, NULL);
    atomic_store(&interrupt.op, op);
    atomic_store(&interrupt.loop, loop);
    if (pp_interrupt_signal())
        wake();
}

int pp_interrupt_signal(void)
{
    return atomic_load(&interrupt.signal);
}
