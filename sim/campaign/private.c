/*
 * private.c: memory that seeds do not notice. A heap that had grown would give a seed other
 * addresses, see campaign.h; what needs much is mapped.
 */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS */

#include "campaign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void *orr__private_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static int read_all(int descriptor, size_t bytes_max, char **ret_text, size_t *ret_bytes)
{
    struct stat status;
    if (fstat(descriptor, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EISDIR;
    if ((uint64_t)status.st_size > bytes_max)
        return -EFBIG;
    size_t bytes = (size_t)status.st_size;
    char *text = orr__private_map(bytes);
    if (text == NULL)
        return -ENOMEM;
    for (size_t at = 0; at < bytes;) {
        ssize_t got = read(descriptor, text + at, bytes - at);
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        at += (size_t)got;
    }
    *ret_text = text;
    *ret_bytes = bytes;
    return 0;
}

int orr__private_read(const char *path, size_t bytes_max, char **ret_text, size_t *ret_bytes)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    int status = read_all(descriptor, bytes_max, ret_text, ret_bytes);
    close(descriptor);
    return status;
}

int orr__private_take(const char *path, char **ret_text, size_t *ret_bytes)
{
    int status = orr__private_read(path, SIZE_MAX, ret_text, ret_bytes);
    (void)unlink(path);
    return status;
}

/* Reads up to so many bytes. Returns how many, or -errno. */
static ssize_t read_up_to(int descriptor, char *text, size_t bytes_max)
{
    size_t at = 0;
    while (at < bytes_max) {
        ssize_t got = read(descriptor, text + at, bytes_max - at);
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        at += (size_t)got;
    }
    return (ssize_t)at;
}

int orr__private_take_into(const char *path, char *text, size_t bytes_max)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = descriptor >= 0 ? read_up_to(descriptor, text, bytes_max) : -errno;
    if (descriptor >= 0)
        close(descriptor);
    (void)unlink(path);
    text[length >= 0 ? length : 0] = '\0';
    return length >= 0 ? 0 : (int)length;
}

void orr__private_path(char *path, size_t size)
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, size, "%s/orrery-%ld.record",
             folder != NULL && folder[0] != '\0' ? folder : "/tmp", (long)getpid());
}
