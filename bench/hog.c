/* A busy neighbour: keeps one CPU busy for a bounded time and does nothing else.
 *
 *     hog CPU SECONDS
 */
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_SECONDS 600.0
#define TURNS_BETWEEN_LOOKS 100000

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    double seconds;
    double end_s;
    int cpu;
    char rest;
    cpu_set_t set;

    if (argc != 3 || sscanf(argv[1], "%d%c", &cpu, &rest) != 1 || cpu < 0 ||
        sscanf(argv[2], "%lf%c", &seconds, &rest) != 1 || !(seconds > 0 && seconds <= MAX_SECONDS))
        errx(2, "usage: hog CPU SECONDS; at most %.0f seconds", MAX_SECONDS);
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        err(1, "pin to cpu %d", cpu);
    end_s = now_s() + seconds;
    while (now_s() < end_s) {
        for (volatile int i = 0; i < TURNS_BETWEEN_LOOKS; i++)
            continue;
    }
    return 0;
}
