/*
 * File operations on Orrery; file_work.h says which. The backend is the environment's choice.
 *
 * The model: one completion per lane, submitted again from its own callback.
 */
#include <orrery/io.h>

#include "file_work.h"

struct lane {
    struct orr_completion completion;
    orr_handle file;
    int number;
};

static struct work work;
static struct orr_loop *loop;
static struct lane lanes[WORK_LANES_MAX];

static void start(struct lane *lane);

static void on_end(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    work_check(work.sync ? "orr_fdatasync" : "orr_read", result, work.sync ? 0 : WORK_PAGE_BYTES);
    if (work_done(&work))
        start(context);
}

static void on_write(void *context, struct orr_completion *completion, int64_t result)
{
    const struct lane *lane = context;
    work_check("orr_write", result, WORK_PAGE_BYTES);
    orr_fdatasync(loop, completion, lane->file, on_end, context);
}

static void start(struct lane *lane)
{
    char *buffer = work_buffer(&work, lane->number);
    const uint64_t offset = work_offset(&work);
    if (work.sync)
        orr_write(loop, &lane->completion, lane->file, buffer, WORK_PAGE_BYTES, offset, on_write,
                  lane);
    else
        orr_read(loop, &lane->completion, lane->file, buffer, WORK_PAGE_BYTES, offset, on_end,
                 lane);
}

int main(int argc, char **argv)
{
    char error[256] = "";
    const struct orr_options options = {.error = error, .error_size = sizeof error};
    if (orr_loop_open(&options, &loop) < 0) {
        fprintf(stderr, "file_orrery: %s\n", error);
        return EXIT_FAILURE;
    }
    work_begin(&work, argc, argv);
    for (int i = 0; i < work.lanes; i++) {
        lanes[i].number = i;
        if (i == 0 || work.sync)
            lanes[i].file = orr_adopt(loop, work.files[i]);
        else
            lanes[i].file = lanes[0].file;
        if (lanes[i].file < 0)
            work_die("orr_adopt", lanes[i].file);
        start(&lanes[i]);
    }
    orr_run_until_idle(loop);
    work_report(&work);
    orr_drain(loop);
    orr_loop_close(loop);
    return 0;
}
