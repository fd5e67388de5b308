#include "measure/usage.h"

#include "base/assert.h"
#include "base/clock.h"

#include <sys/resource.h>

static uint64_t timeval_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * PP_NS_PER_S + (uint64_t)time.tv_usec * PP_NS_PER_US;
}

struct pp_usage pp_usage_of_thread(void)
{
    struct rusage usage;

    pp_assert(getrusage(RUSAGE_THREAD, &usage) == 0);
    return (struct pp_usage){
        .user_ns = timeval_ns(usage.ru_utime),
        .system_ns = timeval_ns(usage.ru_stime),
        .context_switches = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw,
    };
}

struct pp_usage pp_usage_between(const struct pp_usage *earlier, const struct pp_usage *later)
{
    return (struct pp_usage){
        .user_ns = later->user_ns - earlier->user_ns,
        .system_ns = later->system_ns - earlier->system_ns,
        .context_switches = later->context_switches - earlier->context_switches,
    };
}
