/*
 * test_address.c: network addresses as text and back (io/address.c), by tables of good and bad
 * texts, and against the system's own structs.
 */
#include "tests/io/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PATH_100                                                                       \
    "/23456789a123456789b123456789c123456789d123456789e123456789f123456789g123456789h" \
    "123456789i123456789j"

static const struct {
    const char *text;
    const char *again; /* what it is formatted to, NULL = the same */
    enum orr_family family;
    uint16_t port;
} good[] = {
    {"127.0.0.1:6379", NULL, ORR_FAMILY_IP4, 6379},
    {"0.0.0.0:0", NULL, ORR_FAMILY_IP4, 0},
    {"255.255.255.255:65535", NULL, ORR_FAMILY_IP4, 65535},
    {"1.2.3.4:00080", "1.2.3.4:80", ORR_FAMILY_IP4, 80},
    {"[::1]:6379", NULL, ORR_FAMILY_IP6, 6379},
    {"[::]:0", NULL, ORR_FAMILY_IP6, 0},
    {"[0:0:0:0:0:0:0:1]:1", "[::1]:1", ORR_FAMILY_IP6, 1},
    {"[2001:DB8::a]:65535", "[2001:db8::a]:65535", ORR_FAMILY_IP6, 65535},
    {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", NULL, ORR_FAMILY_IP6, 65535},
    {"[::ffff:192.168.100.200]:9", NULL, ORR_FAMILY_IP6, 9},
    {"unix:a", NULL, ORR_FAMILY_UNIX, 0},
    {"unix:/run/kv.sock", NULL, ORR_FAMILY_UNIX, 0},
    {"unix:unix:with spaces and : colons", NULL, ORR_FAMILY_UNIX, 0},
    {"unix:" PATH_100 "1234567", NULL, ORR_FAMILY_UNIX, 0}, /* 107 bytes */
};

#define GOOD (sizeof good / sizeof good[0])

static const char *const bad[] = {
    "",
    ":",
    ":80",
    "80",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1: 80",
    "127.0.0.1:80 ",
    " 127.0.0.1:80",
    "127.0.0.1:-1",
    "127.0.0.1:+1",
    "127.0.0.1:65536",
    "127.0.0.1:99999999999999999999999999",
    "127.0.0.1:4294967376",
    "127.0.0.1:0x50",
    "127.0.0.1:80:80",
    "127.0.0:80",
    "127.0.0.0.1:80",
    "256.0.0.1:80",
    "127.0.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4:80",
    "localhost:80",
    "*:80",
    "::1:80",
    "[::1]",
    "[::1]80",
    "[::1]:",
    "[::1]:65536",
    "[::1:80",
    "::1]:80",
    "[]:80",
    "[127.0.0.1]:80",
    "[::1%lo]:80",
    "[[::1]]:80",
    "[::1]]:80",
    "[:::1]:80",
    "[1:2:3:4:5:6:7:8:9]:80",
    "[fffff::1]:80",
    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80",
    "unix:",
    "unix",
    "Unix:/a",
    "unix:" PATH_100 "12345678", /* 108 bytes */
    "unix:" PATH_100 PATH_100 PATH_100,
};

START_TEST(good_texts_make_the_round_trip)
{
    for (size_t i = 0; i < GOOD; i++) {
        struct orr_address address;
        struct orr_address second;
        char text[ORR_ADDRESS_TEXT_MAX];
        const char *again = good[i].again != NULL ? good[i].again : good[i].text;
        memset(&address, 0xff, sizeof address);
        ck_assert_msg(orr_address_parse(good[i].text, &address) == 0, "refused: %s", good[i].text);
        ck_assert_int_eq(orr_address_family(&address), good[i].family);
        ck_assert_uint_eq(orr_address_port(&address), good[i].port);
        ck_assert_int_eq(orr_address_format(&address, text, sizeof text), (int)strlen(again));
        ck_assert_str_eq(text, again);
        ck_assert_int_eq(orr_address_parse(text, &second), 0);
        ck_assert(orr_address_equal(&address, &second));
    }
}
END_TEST

START_TEST(bad_texts_are_refused_and_change_nothing)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct orr_address address;
        struct orr_address before;
        memset(&address, 0x77, sizeof address);
        memset(&before, 0x77, sizeof before);
        ck_assert_msg(orr_address_parse(bad[i], &address) == -EINVAL, "accepted: '%s'", bad[i]);
        ck_assert_mem_eq(&address, &before, sizeof address);
    }
}
END_TEST

START_TEST(every_port)
{
    char text[32];
    struct orr_address address;
    for (uint32_t port = 0; port <= 65535; port++) {
        snprintf(text, sizeof text, "1.2.3.4:%u", port);
        must(orr_address_parse(text, &address) == 0);
        must(orr_address_port(&address) == port);
        snprintf(text, sizeof text, "[::2]:%u", port);
        must(orr_address_parse(text, &address) == 0);
        must(orr_address_port(&address) == port);
    }
}
END_TEST

START_TEST(every_size_of_room)
{
    for (size_t i = 0; i < GOOD; i++) {
        struct orr_address address;
        char text[ORR_ADDRESS_TEXT_MAX];
        char whole[ORR_ADDRESS_TEXT_MAX];
        ck_assert_int_eq(orr_address_parse(good[i].text, &address), 0);
        int length = orr_address_format(&address, whole, sizeof whole);
        ck_assert_int_lt(length, (int)ORR_ADDRESS_TEXT_MAX);
        for (size_t room = 0; room <= (size_t)length; room++) {
            memset(text, '?', sizeof text);
            must(orr_address_format(&address, text, room) == -ENOSPC);
            must(text[room] == '?');
        }
        ck_assert_int_eq(orr_address_format(&address, text, (size_t)length + 1), length);
        ck_assert_str_eq(text, whole);
    }
}
END_TEST

/* What a kernel is handed is its own struct. */
START_TEST(holds_the_systems_structs)
{
    struct orr_address address;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    struct sockaddr_un path;
    ck_assert_int_eq(orr_address_parse("10.1.2.3:258", &address), 0);
    ck_assert_uint_eq(address.length, sizeof ip4);
    memcpy(&ip4, address.storage.bytes, sizeof ip4);
    ck_assert_int_eq(ip4.sin_family, AF_INET);
    ck_assert_uint_eq(ntohs(ip4.sin_port), 258);
    ck_assert_uint_eq(ntohl(ip4.sin_addr.s_addr), 0x0a010203);
    ck_assert_int_eq(orr_address_parse("[102::3]:258", &address), 0);
    ck_assert_uint_eq(address.length, sizeof ip6);
    memcpy(&ip6, address.storage.bytes, sizeof ip6);
    ck_assert_int_eq(ip6.sin6_family, AF_INET6);
    ck_assert_uint_eq(ntohs(ip6.sin6_port), 258);
    ck_assert_uint_eq(ip6.sin6_addr.s6_addr[0], 1);
    ck_assert_uint_eq(ip6.sin6_addr.s6_addr[15], 3);
    ck_assert_uint_eq(ip6.sin6_scope_id, 0);
    ck_assert_int_eq(orr_address_parse("unix:/a/b", &address), 0);
    ck_assert_uint_eq(address.length, offsetof(struct sockaddr_un, sun_path) + 5);
    memset(&path, 0xff, sizeof path);
    memcpy(&path, address.storage.bytes, address.length);
    ck_assert_int_eq(path.sun_family, AF_UNIX);
    ck_assert_str_eq(path.sun_path, "/a/b");
}
END_TEST

static void set_native(struct orr_address *address, const void *native, size_t length)
{
    memset(address, 0, sizeof *address);
    memcpy(address->storage.bytes, native, length);
    address->length = (uint32_t)length;
}

/* What a system may hand back: no address, a strange family, a Unix socket without a name. */
START_TEST(strange_addresses)
{
    struct orr_address address;
    struct sockaddr other = {.sa_family = AF_APPLETALK};
    struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
    struct sockaddr_in ip4 = {.sin_family = AF_INET};
    char text[ORR_ADDRESS_TEXT_MAX];
    memset(&address, 0, sizeof address);
    ck_assert_int_eq(orr_address_family(&address), ORR_FAMILY_NONE);
    ck_assert_uint_eq(orr_address_port(&address), 0);
    ck_assert_int_eq(orr_address_format(&address, text, sizeof text), -EINVAL);
    set_native(&address, &other, sizeof other);
    ck_assert_int_eq(orr_address_family(&address), ORR_FAMILY_NONE);
    ck_assert_int_eq(orr_address_format(&address, text, sizeof text), -EINVAL);
    set_native(&address, &unnamed, offsetof(struct sockaddr_un, sun_path));
    ck_assert_int_eq(orr_address_family(&address), ORR_FAMILY_UNIX);
    ck_assert_int_eq(orr_address_format(&address, text, sizeof text), 5);
    ck_assert_str_eq(text, "unix:");
    memset(unnamed.sun_path, 'x', sizeof unnamed.sun_path); /* not NUL-terminated */
    set_native(&address, &unnamed, sizeof unnamed);
    ck_assert_int_eq(orr_address_format(&address, text, sizeof text), 5 + 108);
    set_native(&address, &ip4, sizeof ip4 - 1); /* cut short */
    ck_assert_uint_eq(orr_address_port(&address), 0);
    ck_assert_int_eq(orr_address_format(&address, text, sizeof text), -EINVAL);
}
END_TEST

START_TEST(equality)
{
    struct orr_address addresses[GOOD];
    for (size_t i = 0; i < GOOD; i++)
        ck_assert_int_eq(orr_address_parse(good[i].text, &addresses[i]), 0);
    for (size_t i = 0; i < GOOD; i++)
        for (size_t j = 0; j < GOOD; j++)
            ck_assert_msg(orr_address_equal(&addresses[i], &addresses[j]) == (i == j), "%s and %s",
                          good[i].text, good[j].text);
}
END_TEST

PROBE_MAIN("address", good_texts_make_the_round_trip, bad_texts_are_refused_and_change_nothing,
           every_port, every_size_of_room, holds_the_systems_structs, strange_addresses, equality)
