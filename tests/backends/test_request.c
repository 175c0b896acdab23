/*
 * test_request.c: requests become submission entries, completion entries become results: the parts
 * that need no ring. What the kernel makes of the entries is in test_files.c and test_sockets.c.
 */
#define _GNU_SOURCE 1 /* struct statx */

#include "rig.h"

#include "backends/posix.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* Larger than every errno of Linux. */
#define ERRNO_LIMIT 4096

static struct orr_address address;
static struct orr_datagram datagram;
static struct orr_stat status;
static char buffer[8];

/* A request of every kind that the kernel can answer: each operation has what it needs. */
static struct orr_request request_of(uint8_t op)
{
    struct orr_request request = {.op = op, .descriptor = 5};

    switch (op) {
    case ORR_OP_ACCEPT:
        request.arguments.peer.accepted = &address;
        break;
    case ORR_OP_CONNECT:
        request.arguments.peer.target = &address;
        break;
    case ORR_OP_RECV_FROM:
    case ORR_OP_SEND_TO:
        request.arguments.datagram = &datagram;
        break;
    case ORR_OP_OPEN:
    case ORR_OP_STAT:
    case ORR_OP_RENAME:
    case ORR_OP_LINK:
    case ORR_OP_UNLINK:
    case ORR_OP_MKDIR:
        request.arguments.path.path = "a";
        request.arguments.path.path_new = "b";
        request.arguments.path.stat = &status;
        break;
    case ORR_OP_POLL:
        request.arguments.events = ORR_POLL_IN;
        break;
    default:
        request.arguments.transfer.buffer = buffer;
        request.arguments.transfer.length = sizeof buffer;
        break;
    }
    return request;
}

static struct io_uring_sqe entry_of(const struct orr_request *request)
{
    struct io_uring_sqe sqe;

    memset(&sqe, 0xee, sizeof sqe); /* a ring's entries hold what was there before */
    orr__uring_prepare(&sqe, request);
    return sqe;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Nothing of an entry's last use may be left in it: personality, buffer group, link flags. */
START_TEST(test_request__entries_are_whole)
{
    for (uint8_t op = ORR_OP_ACCEPT; op <= ORR_OP_POLL; op++) {
        const struct orr_request request = request_of(op);
        const struct io_uring_sqe sqe = entry_of(&request);
        must_be(sqe.opcode, orr__uring_opcode(op));
        must_be(sqe.flags, 0);
        must_be(sqe.ioprio, 0);
        must_be(sqe.personality, 0);
        must_be(sqe.buf_index, 0);
        must_be(sqe.file_index, 0);
        must_be(sqe.fd, 5);
    }
}
END_TEST

/* Newer kernels add MSG_NOSIGNAL by themselves, so only the entry shows that it is asked for.
 * MSG_WAITALL would make one attempt wait for all. */
START_TEST(test_request__sends_raise_no_signal_and_make_one_attempt)
{
    static const uint8_t sends[] = {ORR_OP_SEND, ORR_OP_SEND_TO};
    static const uint8_t receives[] = {ORR_OP_RECV, ORR_OP_RECV_FROM};

    for (int i = 0; i < 2; i++) {
        const struct orr_request send = request_of(sends[i]);
        const struct orr_request receive = request_of(receives[i]);
        must_be(entry_of(&send).msg_flags, MSG_NOSIGNAL);
        must_be(entry_of(&receive).msg_flags, 0);
    }
}
END_TEST

START_TEST(test_request__new_descriptors_are_close_on_exec)
{
    const struct orr_request accept_request = request_of(ORR_OP_ACCEPT);
    const struct orr_request open_request = request_of(ORR_OP_OPEN);

    must_be(entry_of(&accept_request).accept_flags, SOCK_CLOEXEC);
    must((entry_of(&open_request).open_flags & O_CLOEXEC) != 0);
}
END_TEST

START_TEST(test_request__open_flags_are_the_systems)
{
    static const struct {
        uint32_t flags;
        int expected;
    } cases[] = {
        {ORR_OPEN_READ, O_RDONLY},
        {ORR_OPEN_WRITE, O_WRONLY},
        {ORR_OPEN_READ | ORR_OPEN_WRITE, O_RDWR},
        {ORR_OPEN_WRITE | ORR_OPEN_CREATE, O_WRONLY | O_CREAT},
        {ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_EXCLUSIVE, O_WRONLY | O_CREAT | O_EXCL},
        {ORR_OPEN_WRITE | ORR_OPEN_TRUNCATE, O_WRONLY | O_TRUNC},
        {ORR_OPEN_READ | ORR_OPEN_DIRECTORY, O_RDONLY | O_DIRECTORY},
        {ORR_OPEN_WRITE | ORR_OPEN_SYNC, O_WRONLY | O_DSYNC},
        {ORR_OPEN_READ | ORR_OPEN_DIRECT, O_RDONLY | O_DIRECT},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        must_be(orr__posix_open_flags(cases[i].flags), cases[i].expected | O_CLOEXEC | O_NOCTTY);
}
END_TEST

START_TEST(test_request__headers_of_a_datagram_lie_in_the_datagram)
{
    struct orr_request request = request_of(ORR_OP_SEND_TO);
    struct msghdr header;

    datagram = (struct orr_datagram){.buffer = buffer, .length = 3, .peer = {.length = 16}};
    const struct io_uring_sqe named = entry_of(&request);
    memcpy(&header, datagram.backend, sizeof header);
    must(named.addr == (uintptr_t)datagram.backend);
    must(header.msg_name == datagram.peer.storage.bytes && header.msg_namelen == 16);
    must(header.msg_iovlen == 1 && header.msg_iov[0].iov_base == buffer);
    must(header.msg_iov[0].iov_len == 3);
    datagram.peer.length = 0; /* to the connected peer */
    (void)entry_of(&request);
    memcpy(&header, datagram.backend, sizeof header);
    must(header.msg_name == NULL);
}
END_TEST

static const struct {
    uint32_t event;
    int system;
} events[] = {
    {ORR_POLL_IN, POLLIN},
    {ORR_POLL_OUT, POLLOUT},
    {ORR_POLL_ERROR, POLLERR},
    {ORR_POLL_HANGUP, POLLHUP},
};

START_TEST(test_request__poll_events_both_ways)
{
    struct orr_request request = request_of(ORR_OP_POLL);

    for (uint32_t set = 0; set < 16; set++) {
        int system = 0;
        request.arguments.events = 0;
        for (uint32_t i = 0; i < 4; i++) {
            request.arguments.events |= (set >> i & 1) != 0 ? events[i].event : 0;
            system |= (set >> i & 1) != 0 ? events[i].system : 0;
        }
        /* In the entry, the words of this field are swapped on big-endian machines. */
        struct io_uring_sqe expected = {0};
        io_uring_prep_poll_add(&expected, 5, (unsigned)system);
        must_be(entry_of(&request).poll32_events, expected.poll32_events);
        must_be(orr__uring_result(&request, system), request.arguments.events);
    }
    must_be(orr__uring_result(&request, POLLIN | POLLRDNORM), ORR_POLL_IN); /* not ours: left out */
}
END_TEST

/* ---- results --------------------------------------------------------------------------------- */

/* Whatever error a kernel invents reaches the callback as it is. */
START_TEST(test_request__every_error_of_every_operation_is_its_result)
{
    for (uint8_t op = ORR_OP_ACCEPT; op <= ORR_OP_POLL; op++) {
        const struct orr_request request = request_of(op);
        for (int32_t error = 1; error < ERRNO_LIMIT; error++)
            must_be(orr__uring_result(&request, -error), -error);
    }
}
END_TEST

START_TEST(test_request__every_success_is_its_result)
{
    for (uint8_t op = ORR_OP_ACCEPT; op < ORR_OP_POLL; op++) {
        struct orr_request request = request_of(op);
        (void)entry_of(&request);
        must_be(orr__uring_result(&request, 0), 0);
        must_be(orr__uring_result(&request, INT32_MAX), INT32_MAX);
    }
}
END_TEST

START_TEST(test_request__failures_leave_no_address)
{
    struct orr_request accept_request = request_of(ORR_OP_ACCEPT);
    struct orr_request receive = request_of(ORR_OP_RECV_FROM);

    (void)entry_of(&accept_request);
    must(address.length == sizeof address.storage);
    must_be(orr__uring_result(&accept_request, -ECONNABORTED), -ECONNABORTED);
    must_be(address.length, 0);
    (void)entry_of(&receive);
    datagram.truncated = true;
    must_be(orr__uring_result(&receive, -ECONNREFUSED), -ECONNREFUSED);
    must(datagram.peer.length == 0 && !datagram.truncated);
    accept_request.arguments.peer.accepted = NULL; /* nobody asked */
    (void)entry_of(&accept_request);
    must_be(orr__uring_result(&accept_request, -EMFILE), -EMFILE);
}
END_TEST

START_TEST(test_request__truncated_datagrams_say_so)
{
    struct orr_request request = request_of(ORR_OP_RECV_FROM);
    struct msghdr header;

    for (int cut = 0; cut < 2; cut++) {
        (void)entry_of(&request);
        memcpy(&header, datagram.backend, sizeof header);
        header.msg_flags = cut != 0 ? MSG_TRUNC : MSG_EOR;
        header.msg_namelen = 28;
        memcpy(datagram.backend, &header, sizeof header);
        must_be(orr__uring_result(&request, 8), 8);
        must_be(datagram.truncated, cut);
        must_be(datagram.peer.length, 28);
    }
}
END_TEST

static void answer_stat(uint32_t mode)
{
    struct statx record = {.stx_mode = (uint16_t)mode,
                           .stx_size = UINT64_C(1) << 40,
                           .stx_ino = UINT64_MAX,
                           .stx_nlink = 3,
                           .stx_mtime = {.tv_sec = -2, .tv_nsec = 5}};

    memcpy(status.backend, &record, sizeof record);
}

START_TEST(test_request__stat_is_translated)
{
    const struct orr_request request = request_of(ORR_OP_STAT);

    answer_stat(S_IFREG | 04755);
    must_be(orr__uring_result(&request, 0), 0);
    must(status.size == UINT64_C(1) << 40 && status.inode == UINT64_MAX && status.links == 3);
    must_be(status.modified_ns, -2 * (int64_t)ORR_SECOND + 5); /* before 1970 */
    must(status.type == ORR_FILE_REGULAR && status.mode == 04755);
    answer_stat(S_IFDIR | 0700);
    must_be(orr__uring_result(&request, 0), 0);
    must(status.type == ORR_FILE_DIRECTORY && status.mode == 0700);
    answer_stat(S_IFIFO);
    must_be(orr__uring_result(&request, 0), 0);
    must(status.type == ORR_FILE_OTHER);
    status.size = 7; /* untouched by a failure */
    must_be(orr__uring_result(&request, -ENOENT), -ENOENT);
    must_be(status.size, 7);
}
END_TEST

/* Plain calls do what never waits, and nothing else: a plain recv would block the loop. */
START_TEST(test_request__plain_calls_never_wait)
{
    for (uint8_t op = ORR_OP_ACCEPT; op <= ORR_OP_POLL; op++) {
        struct orr_completion completion = {.request = request_of(op)};
        if ((ORR__POSIX_OPERATIONS & ORR_OP_BIT(op)) == 0)
            must_be(orr__posix_perform(&completion), -ENOTSUP);
    }
    must((orr__uring.operations & ORR__POSIX_OPERATIONS) == ORR__POSIX_OPERATIONS);
    for (uint8_t op = ORR_OP_ACCEPT; op <= ORR_OP_POLL; op++)
        must((orr__uring.operations & ORR_OP_BIT(op)) != 0);
    must(orr__uring.operations < ORR_OP_BIT(ORR_OP_POLL + 1));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("request");
    tcase_add_test(tests, test_request__entries_are_whole);
    tcase_add_test(tests, test_request__sends_raise_no_signal_and_make_one_attempt);
    tcase_add_test(tests, test_request__new_descriptors_are_close_on_exec);
    tcase_add_test(tests, test_request__open_flags_are_the_systems);
    tcase_add_test(tests, test_request__headers_of_a_datagram_lie_in_the_datagram);
    tcase_add_test(tests, test_request__poll_events_both_ways);
    tcase_add_test(tests, test_request__every_error_of_every_operation_is_its_result);
    tcase_add_test(tests, test_request__every_success_is_its_result);
    tcase_add_test(tests, test_request__failures_leave_no_address);
    tcase_add_test(tests, test_request__truncated_datagrams_say_so);
    tcase_add_test(tests, test_request__stat_is_translated);
    tcase_add_test(tests, test_request__plain_calls_never_wait);
    return suite_run("request", tests);
}
