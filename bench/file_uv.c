/*
 * File operations on libuv; file_work.h says which.
 *
 * The model: one request per lane, submitted again from its own callback; libuv's pool of threads
 * (four, unless UV_THREADPOOL_SIZE says otherwise) does the work.
 */
#include <uv.h>

#include "file_work.h"

struct lane {
    uv_fs_t request; /* first; request.data points back to the lane */
    int number;
};

static struct work work;
static uv_loop_t *loop;
static struct lane lanes[WORK_LANES_MAX];

static void start(struct lane *lane);

static void on_end(uv_fs_t *request)
{
    struct lane *lane = request->data;
    work_check(work.sync ? "fdatasync" : "read", request->result, work.sync ? 0 : WORK_PAGE_BYTES);
    uv_fs_req_cleanup(request);
    if (work_done(&work))
        start(lane);
}

static void on_write(uv_fs_t *request)
{
    const struct lane *lane = request->data;
    work_check("write", request->result, WORK_PAGE_BYTES);
    uv_fs_req_cleanup(request);
    work_check("uv_fs_fdatasync", uv_fs_fdatasync(loop, request, work.files[lane->number], on_end),
               0);
}

static void start(struct lane *lane)
{
    uv_buf_t buffer = uv_buf_init(work_buffer(&work, lane->number), WORK_PAGE_BYTES);
    const int file = work.files[lane->number];
    const int64_t offset = (int64_t)work_offset(&work);
    lane->request.data = lane;
    if (work.sync)
        work_check("uv_fs_write",
                   uv_fs_write(loop, &lane->request, file, &buffer, 1, offset, on_write), 0);
    else
        work_check("uv_fs_read", uv_fs_read(loop, &lane->request, file, &buffer, 1, offset, on_end),
                   0);
}

int main(int argc, char **argv)
{
    loop = uv_default_loop();
    work_begin(&work, argc, argv);
    for (int i = 0; i < work.lanes; i++) {
        lanes[i].number = i;
        start(&lanes[i]);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    work_report(&work);
    return 0;
}
