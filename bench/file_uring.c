/*
 * File operations straight on liburing; file_work.h says which. It tells what the ring and the disk
 * give to a program without a loop.
 *
 * The model: one ring, a slot for each lane; a pass is one io_uring_enter that submits what the
 * last pass prepared and waits for at least one completion. The setup is that
 * of the io_uring backend.
 */
#include <liburing.h>

#include "file_work.h"

static struct work work;
static struct io_uring ring;
static bool is_written[WORK_LANES_MAX]; /* in "sync": what is left is to make it durable */

static void prepare(int lane)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe == NULL)
        work_die("io_uring_get_sqe", -EBUSY);
    const int file = work.files[lane];
    char *buffer = work_buffer(&work, lane);
    if (is_written[lane])
        io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
    else if (work.sync)
        io_uring_prep_write(sqe, file, buffer, WORK_PAGE_BYTES, work_offset(&work));
    else
        io_uring_prep_read(sqe, file, buffer, WORK_PAGE_BYTES, work_offset(&work));
    io_uring_sqe_set_data64(sqe, (unsigned)lane);
}

/* True if the lane goes on. */
static bool handle(int lane, int result)
{
    const bool is_write = work.sync && !is_written[lane];
    work_check("an operation of the ring", result, is_written[lane] ? 0 : WORK_PAGE_BYTES);
    is_written[lane] = is_write;
    return is_write || work_done(&work);
}

static void run(int in_flight)
{
    while (in_flight > 0) {
        const int submitted = io_uring_submit_and_wait(&ring, 1);
        if (submitted < 0 && submitted != -EINTR)
            work_die("io_uring_submit_and_wait", submitted);
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned seen = 0;
        io_uring_for_each_cqe (&ring, head, cqe) {
            seen++;
            if (handle((int)cqe->user_data, cqe->res))
                prepare((int)cqe->user_data);
            else
                in_flight--;
        }
        io_uring_cq_advance(&ring, seen);
    }
}

int main(int argc, char **argv)
{
    const unsigned flags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    int status = io_uring_queue_init(WORK_LANES_MAX, &ring, flags);
    if (status < 0)
        work_die("io_uring_queue_init (Linux 6.1 or later is needed)", status);
    status = io_uring_register_ring_fd(&ring);
    if (status < 0)
        work_die("io_uring_register_ring_fd", status);
    work_begin(&work, argc, argv);
    for (int lane = 0; lane < work.lanes; lane++)
        prepare(lane);
    run(work.lanes);
    work_report(&work);
    io_uring_queue_exit(&ring);
    return 0;
}
