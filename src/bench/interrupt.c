#include "bench/interrupt.h"

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

static void on_signal(int number)
{
    int none = 0;

    if (atomic_compare_exchange_strong(&interrupt.signal, &none, number)) {
        wake();
        return;
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

void pp_interrupt_install(void)
{
    struct sigaction action = { .sa_handler = on_signal };

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
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
