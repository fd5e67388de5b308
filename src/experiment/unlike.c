#include "experiment/unlike.h"

#include "base/container.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES 160

static bool is_any(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static int note(json_t *list, const char *key, const json_t *baseline, const json_t *other)
{
    static const char *const changing[] = { "host.load_average", "host.clock_reading_ns",
                                            "host.memory_bytes" };

    if (is_any(key, changing, COUNT_OF(changing)))
        return 0;
    return json_array_append_new(list, json_pack("{s:s, s:O, s:O}", "key", key, "baseline",
                                                 baseline ? baseline : json_null(), "other",
                                                 other ? other : json_null()));
}

/* Both are objects, of which either may lack what the other has. Where one is none at all, nobody
 * says that they differ. */
static int compare(json_t *list, const char *name, const json_t *baseline, const json_t *other)
{
    const json_t *const both[] = { baseline, other };
    int ret = 0;

    if (!json_is_object(baseline) || !json_is_object(other))
        return 0;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)(uintptr_t)both[i], key, value)
        {
            const json_t *first = json_object_get(baseline, key);
            const json_t *second = json_object_get(other, key);
            char path[KEY_BYTES];

            if (i == 1 && first) /* which was compared already */
                continue;
            (void)snprintf(path, sizeof path, "%s.%s", name, key);
            if (json_is_object(first) && json_is_object(second))
                ret |= compare(list, path, first, second);
            else if (!json_equal(first, second))
                ret |= note(list, path, first, second);
        }
    }
    return ret;
}

json_t *pp_unlike_list(const json_t *baseline, const json_t *other)
{
    static const char *const parts[] = { "host", "pingpong" };
    json_t *list = json_array();
    int ret = list ? 0 : -1;

    for (size_t i = 0; ret == 0 && i < COUNT_OF(parts); i++)
        ret = compare(list, parts[i], json_object_get(baseline, parts[i]),
                      json_object_get(other, parts[i]));
    if (ret == 0)
        return list;
    json_decref(list);
    return NULL;
}

const json_t *pp_unlike_hosts(const json_t *list)
{
    static const char *const decisive[] = { "host.cpu.model",    "host.cpu.online",
                                            "host.architecture", "host.kernel",
                                            "host.os",           "host.virtualisation" };

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);

        if (is_any(json_string_value(json_object_get(one, "key")), decisive, COUNT_OF(decisive)))
            return one;
    }
    return NULL;
}
