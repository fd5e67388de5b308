#include "cli/peers.h"

#include "base/container.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFIX "pingpong-peer-"

/* From the folder of this program: where it has been built, and where it is installed. */
static const char *const folders[] = { "peers", PP_PEERS_INSTALLED };

const char *pp_cli_own_path(char path[PATH_MAX])
{
    const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    const char *started_as = (const char *)getauxval(AT_EXECFN);

    if (length > 0)
        path[length] = '\0';
    else /* there is no /proc */
        (void)snprintf(path, PATH_MAX, "%s", started_as ? started_as : "");
    return path;
}

/* ---- where they are ---- */

/* "FOLDER/NAME", as from this program's folder. False: it does not fit. */
static bool place(char path[PATH_MAX], const char *folder, const char *name)
{
    char own[PATH_MAX];
    const char *end = strrchr(pp_cli_own_path(own), '/');
    int length;

    if (!end)
        return false;
    length = snprintf(path, PATH_MAX, "%.*s%s/%s", (int)(end + 1 - own), own, folder, name);
    return length > 0 && length < PATH_MAX;
}

/* A name is no path. */
static bool is_name(const char *name)
{
    return name[0] && strlen(name) < PP_PEER_BYTES && !strchr(name, '/');
}

bool pp_cli_peer_find(const char *name, char path[PATH_MAX])
{
    char file[sizeof PREFIX + PP_PEER_BYTES];

    if (!is_name(name))
        return false;
    (void)snprintf(file, sizeof file, PREFIX "%s", name);
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        if (place(path, folders[i], file) && access(path, X_OK) == 0)
            return true;
    return false;
}

/* Each once, in its place. */
static void add_name(char names[PP_PEERS_MAX][PP_PEER_BYTES], unsigned *count, const char *name)
{
    unsigned at = 0;

    while (at < *count && strcmp(names[at], name) < 0)
        at++;
    if (*count == PP_PEERS_MAX || (at < *count && strcmp(names[at], name) == 0))
        return;
    memmove(names[at + 1], names[at], (size_t)(*count - at) * PP_PEER_BYTES);
    (void)snprintf(names[at], PP_PEER_BYTES, "%s", name);
    (*count)++;
}

unsigned pp_cli_peers_list(char names[PP_PEERS_MAX][PP_PEER_BYTES])
{
    unsigned count = 0;

    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        char path[PATH_MAX];
        DIR *folder = place(path, folders[i], "") ? opendir(path) : NULL;
        const struct dirent *entry;

        while (folder && (entry = readdir(folder))) {
            const char *name = entry->d_name + strlen(PREFIX);

            if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && pp_cli_peer_find(name, path))
                add_name(names, &count, name);
        }
        if (folder)
            (void)closedir(folder);
    }
    return count;
}

/* ---- what they do ---- */

static bool is_one_size(const struct pp_plan *plan)
{
    return !plan->answers && plan->request.min == plan->request.max;
}

const char *pp_cli_peer_cannot(const struct pp_plan *plan)
{
    const struct pp_io_socket_options *socket = &plan->socket;
    const struct {
        bool asked;
        const char *option;
    } all[] = {
        { plan->rate > 0, "--rate" },
        { plan->depth > 1, "--depth" },
        { plan->crr, "--crr" },
        { plan->think_ns > 0, "--think" },
        { !is_one_size(plan), "--size with several sizes" },
        { plan->client_threads > 1, "--threads" },
        { plan->server_threads > 1, "--server-threads" },
        { plan->verify != PP_VERIFY_FULL, "--verify" },
        { socket->dgram, "--udp" },
        { plan->target.path[0] || strcmp(plan->target.host, "127.0.0.1") != 0, "--host" },
        { plan->target.family == AF_INET6, "--ipv6" },
        { plan->source.host[0] || plan->source.port, "--bind" },
        { socket->mptcp, "--mptcp" },
        { socket->congestion[0], "--cc" },
        { socket->nagle, "--nodelay" },
        { socket->busy_poll_given, "--busy-poll" },
        { socket->sndbuf > 0, "--sndbuf" },
        { socket->rcvbuf > 0, "--rcvbuf" },
        { socket->tos_given, "--tos" },
    };

    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i].asked)
            return all[i].option;
    return NULL;
}
