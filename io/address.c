/*
 * address.c: network addresses as text and back. An orr_address holds the C library's sockaddr of
 * its family, so that a kernel can be handed it as it is. Numbers only; looking a name up can block
 * and is not ours.
 */
#define _POSIX_C_SOURCE 200809L /* strnlen */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

_Static_assert(sizeof(struct sockaddr_in6) <= sizeof((struct orr_address *)0)->storage,
               "IPv6 fits");
_Static_assert(sizeof(struct sockaddr_un) <= sizeof((struct orr_address *)0)->storage,
               "a path fits");

#define UNIX_PREFIX "unix:"
#define PORT_MAX 65535u

static void set(struct orr_address *address, const void *native, size_t length)
{
    memset(address, 0, sizeof *address);
    memcpy(address->storage.bytes, native, length);
    address->length = (uint32_t)length;
#if defined(SIN6_LEN)
    /* The BSDs' addresses begin with their length, as their kernels tell them: filled in, an
     * address that was parsed equals one that was told. */
    address->storage.bytes[0] = (uint8_t)length;
#endif
}

static bool get(const struct orr_address *address, void *native, size_t length)
{
    if (address->length < length)
        return false;
    memcpy(native, address->storage.bytes, length);
    return true;
}

static int parse_port(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (*text == '\0')
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        port = port * 10 + (uint32_t)(*text - '0');
        if (port > PORT_MAX)
            return -EINVAL;
    }
    *ret_port = (uint16_t)port;
    return 0;
}

static int parse_unix(const char *path, struct orr_address *ret_address)
{
    struct sockaddr_un native = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof native.sun_path)
        return -EINVAL;
    memcpy(native.sun_path, path, length + 1);
    set(ret_address, &native, offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 0;
}

static int parse_host(const char *host, uint16_t port, bool ip6, struct orr_address *ret_address)
{
    if (ip6) {
        struct sockaddr_in6 native = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        if (inet_pton(AF_INET6, host, &native.sin6_addr) != 1)
            return -EINVAL;
        set(ret_address, &native, sizeof native);
        return 0;
    }
    struct sockaddr_in native = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &native.sin_addr) != 1)
        return -EINVAL;
    set(ret_address, &native, sizeof native);
    return 0;
}

int orr_address_parse(const char *text, struct orr_address *ret_address)
{
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix(text + strlen(UNIX_PREFIX), ret_address);
    bool ip6 = text[0] == '[';
    const char *host = ip6 ? text + 1 : text;
    const char *end = strchr(host, ip6 ? ']' : ':');
    char copy[INET6_ADDRSTRLEN];
    if (end == NULL || (size_t)(end - host) >= sizeof copy)
        return -EINVAL;
    memcpy(copy, host, (size_t)(end - host));
    copy[end - host] = '\0';
    if (ip6 && *++end != ':')
        return -EINVAL;
    uint16_t port;
    int status = parse_port(end + 1, &port);
    return status < 0 ? status : parse_host(copy, port, ip6, ret_address);
}

enum orr_family orr_address_family(const struct orr_address *address)
{
    struct sockaddr native;
    if (!get(address, &native.sa_family,
             offsetof(struct sockaddr, sa_family) + sizeof native.sa_family))
        return ORR_FAMILY_NONE;
    memcpy(&native.sa_family, address->storage.bytes + offsetof(struct sockaddr, sa_family),
           sizeof native.sa_family);
    switch (native.sa_family) {
    case AF_INET:
        return ORR_FAMILY_IP4;
    case AF_INET6:
        return ORR_FAMILY_IP6;
    case AF_UNIX:
        return ORR_FAMILY_UNIX;
    default:
        return ORR_FAMILY_NONE;
    }
}

uint16_t orr_address_port(const struct orr_address *address)
{
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    switch (orr_address_family(address)) {
    case ORR_FAMILY_IP4:
        return get(address, &ip4, sizeof ip4) ? ntohs(ip4.sin_port) : 0;
    case ORR_FAMILY_IP6:
        return get(address, &ip6, sizeof ip6) ? ntohs(ip6.sin6_port) : 0;
    default:
        return 0;
    }
}

static int format_unix(const struct orr_address *address, char *text, size_t text_size)
{
    const char *path =
        (const char *)address->storage.bytes + offsetof(struct sockaddr_un, sun_path);
    size_t length = address->length - offsetof(struct sockaddr_un, sun_path);
    return snprintf(text, text_size, UNIX_PREFIX "%.*s", (int)strnlen(path, length), path);
}

int orr_address_format(const struct orr_address *address, char *text, size_t text_size)
{
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    int length = -1;
    enum orr_family family = orr_address_family(address);
    if (family == ORR_FAMILY_UNIX)
        length = format_unix(address, text, text_size);
    if (family == ORR_FAMILY_IP4 && get(address, &ip4, sizeof ip4) &&
        inet_ntop(AF_INET, &ip4.sin_addr, host, sizeof host) != NULL)
        length = snprintf(text, text_size, "%s:%u", host, orr_address_port(address));
    if (family == ORR_FAMILY_IP6 && get(address, &ip6, sizeof ip6) &&
        inet_ntop(AF_INET6, &ip6.sin6_addr, host, sizeof host) != NULL)
        length = snprintf(text, text_size, "[%s]:%u", host, orr_address_port(address));
    if (length < 0)
        return -EINVAL;
    return (size_t)length < text_size ? length : -ENOSPC;
}

bool orr_address_equal(const struct orr_address *a, const struct orr_address *b)
{
    return a->length == b->length && memcmp(a->storage.bytes, b->storage.bytes, a->length) == 0;
}
