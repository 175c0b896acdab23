/*
 * emit.c: text and JSON into a file, without allocating and without stdio: see trace.h.
 */
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */

#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Its number is out of the way of those that the program under test gets. */
#define FILE_LEAST 200

int orr__emit_open(struct orr__emit *emit, const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return -errno;
    int high = fcntl(file, F_DUPFD_CLOEXEC, FILE_LEAST);
    if (high >= 0)
        close(file);
    emit->file = high >= 0 ? high : file;
    emit->status = 0;
    emit->length = 0;
    return 0;
}

void orr__emit_close(struct orr__emit *emit)
{
    orr__emit_flush(emit);
    if (close(emit->file) < 0 && emit->status == 0)
        emit->status = -errno;
}

void orr__emit_flush(struct orr__emit *emit)
{
    uint32_t done = 0;
    while (done < emit->length && emit->status == 0) {
        ssize_t written = write(emit->file, emit->bytes + done, emit->length - done);
        if (written > 0)
            done += (uint32_t)written;
        else if (written < 0 && errno != EINTR)
            emit->status = -errno;
    }
    emit->length = 0;
}

void orr__emit_bytes(struct orr__emit *emit, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t room = ORR__EMIT_MAX - emit->length;
        size_t step = length < room ? length : room;
        memcpy(emit->bytes + emit->length, bytes, step);
        emit->length += (uint32_t)step;
        bytes += step;
        length -= step;
        if (emit->length == ORR__EMIT_MAX)
            orr__emit_flush(emit);
    }
}

void orr__emit_text(struct orr__emit *emit, const char *text)
{
    orr__emit_bytes(emit, text, strlen(text));
}

void orr__emit_number(struct orr__emit *emit, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    orr__emit_text(emit, text);
}

/* ---- strings --------------------------------------------------------------------------------- */

/* The length of the valid UTF-8 sequence that begins here, or 0. The text's end is no continuation,
 * so nothing is read behind it. */
static size_t sequence_length(const unsigned char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (length == 1)
        return 1;
    uint32_t point = text[0] & (0x7fu >> length);
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3fu);
    }
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < least[length] || surrogate || point > 0x10ffff ? 0 : length;
}

/* '<' is escaped because a page's script ends at the first "</script". */
static void emit_character(struct orr__emit *emit, unsigned char byte)
{
    char text[8];
    if (byte == '"' || byte == '\\')
        snprintf(text, sizeof text, "\\%c", byte);
    else if (byte < 0x20 || byte == '<' || byte == 0x7f)
        snprintf(text, sizeof text, "\\u%04x", byte);
    else
        snprintf(text, sizeof text, "%c", byte);
    orr__emit_text(emit, text);
}

void orr__emit_string(struct orr__emit *emit, const char *text)
{
    if (text == NULL) {
        orr__emit_text(emit, "null");
        return;
    }
    orr__emit_text(emit, "\"");
    while (*text != '\0') {
        size_t length = sequence_length((const unsigned char *)text);
        if (length > 1)
            orr__emit_bytes(emit, text, length);
        else
            emit_character(emit, length == 1 ? (unsigned char)*text : '?');
        text += length > 0 ? length : 1;
    }
    orr__emit_text(emit, "\"");
}

void orr__emit_replay(struct orr__emit *emit, const struct orr__command *command)
{
    char text[ORR__EMIT_MAX];
    char seed[24] = "";
    if (command->file == NULL) /* else the seed stands in there */
        snprintf(seed, sizeof seed, "%" PRIu64, command->seed_first);
    snprintf(text, sizeof text, "%s%s%s", command->replay_head, seed, command->replay_tail);
    orr__emit_string(emit, text);
}
