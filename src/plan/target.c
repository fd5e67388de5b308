#include "plan/plan.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UNIX_PREFIX "unix:"

/* A part of the text that is being read. */
struct piece {
    const char *text;
    size_t bytes;
};

static struct piece piece_of(const char *text)
{
    return (struct piece){ .text = text, .bytes = strlen(text) };
}

/* False if there is no room. */
static bool copy(char *to, size_t room, struct piece from)
{
    if (from.bytes >= room)
        return false;
    memcpy(to, from.text, from.bytes);
    to[from.bytes] = '\0';
    return true;
}

static bool consists_of(struct piece piece, const char *characters)
{
    for (size_t i = 0; i < piece.bytes; i++)
        if (!piece.text[i] || !strchr(characters, piece.text[i]))
            return false;
    return true;
}

/* Digits alone: a port is not typed as 3k. */
static int parse_port(const char *text, uint16_t *port)
{
    uint32_t value = 0;

    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text))
            return -EINVAL;
        value = value * 10 + (uint32_t)(*text - '0');
        if (value > UINT16_MAX)
            return -EINVAL;
    }
    *port = (uint16_t)value;
    return 0;
}

/* Labels of letters, digits, hyphens and underscores; one that is empty may only be the last. */
static bool is_name(struct piece piece)
{
    char before = '.';

    for (size_t i = 0; i < piece.bytes; i++) {
        const char now = piece.text[i];

        if (now == '.' ? before == '.' : !isalnum((unsigned char)now) && now != '-' && now != '_')
            return false;
        if (now == '-' && before == '.')
            return false;
        before = now;
    }
    return piece.bytes > 0;
}

static bool is_ipv4(struct piece piece)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr addr;

    return copy(text, sizeof text, piece) && inet_pton(AF_INET, text, &addr) == 1;
}

/* With its zone, perhaps, as in fe80::1%eth0. */
static bool is_ipv6(struct piece piece)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    const char *percent = memchr(piece.text, '%', piece.bytes);

    if (percent) {
        const size_t before = (size_t)(percent - piece.text);
        const struct piece zone = { .text = percent + 1, .bytes = piece.bytes - before - 1 };

        if (!is_name(zone))
            return false;
        piece.bytes = before;
    }
    return copy(text, sizeof text, piece) && inet_pton(AF_INET6, text, &addr) == 1;
}

/* A name of nothing but digits and dots is an address that was mistyped. */
static bool is_host(struct piece piece)
{
    return consists_of(piece, "0123456789.") ? is_ipv4(piece) : is_name(piece);
}

static int parse_unix(struct pp_target *target, const char *path)
{
    struct pp_target parsed = { .family = target->family };

    if (!*path)
        return -EINVAL;
    if (!copy(parsed.path, sizeof parsed.path, piece_of(path)))
        return -ENAMETOOLONG;
    *target = parsed;
    return 0;
}

/* port is what follows the colon; NULL: there is none. */
static int take_host(struct pp_target *target, struct piece host, const char *port)
{
    struct pp_target parsed = { .port = PP_PLAN_PORT, .family = target->family };

    if (!copy(parsed.host, sizeof parsed.host, host) ||
        (port && parse_port(port, &parsed.port) < 0))
        return -EINVAL;
    *target = parsed;
    return 0;
}

/* "[::1]" or "[::1]:PORT". */
static int parse_brackets(struct pp_target *target, const char *text)
{
    const char *end = strchr(text, ']');
    struct piece host;

    if (!end || (end[1] && end[1] != ':'))
        return -EINVAL;
    host = (struct piece){ .text = text + 1, .bytes = (size_t)(end - text - 1) };
    if (!is_ipv6(host))
        return -EINVAL;
    return take_host(target, host, end[1] ? end + 2 : NULL);
}

int pp_target_parse(struct pp_target *target, const char *text)
{
    const char *colon = strchr(text, ':');
    struct piece host;

    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix(target, text + strlen(UNIX_PREFIX));
    if (*text == '[')
        return parse_brackets(target, text);
    if (colon && strchr(colon + 1, ':'))
        return is_ipv6(piece_of(text)) ? take_host(target, piece_of(text), NULL) : -EINVAL;
    if (!colon)
        return is_host(piece_of(text)) ? take_host(target, piece_of(text), NULL) : -EINVAL;
    host = (struct piece){ .text = text, .bytes = (size_t)(colon - text) };
    if (host.bytes > 0 && !is_host(host))
        return -EINVAL;
    return take_host(target, host, colon + 1);
}

const char *pp_target_format(const struct pp_target *target, char text[PP_TARGET_TEXT_BYTES])
{
    const bool brackets = strchr(target->host, ':') != NULL;

    if (target->path[0])
        (void)snprintf(text, PP_TARGET_TEXT_BYTES, UNIX_PREFIX "%s", target->path);
    else
        (void)snprintf(text, PP_TARGET_TEXT_BYTES, "%s%s%s:%u", brackets ? "[" : "", target->host,
                       brackets ? "]" : "", target->port);
    return text;
}
