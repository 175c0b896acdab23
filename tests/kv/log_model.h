/*
 * log_model.h: builds logs whose every byte is known, and reads logs into text, for the tests and
 * the fuzz target of examples/kv/record.c.
 *
 * A model log remembers where each of its records lies and what was durable when it was written, so
 * that after any damage it can say what a reader must answer, by comparing bytes and nothing else.
 */
#ifndef KV_TEST_LOG_MODEL_H
#define KV_TEST_LOG_MODEL_H

#include "examples/kv/record.h"
#include "tests/kv/memory.h"

#define LOG_MODEL_RECORDS_MAX 64u

/* No byte of it is ASCII: text, even with a few bits flipped, never holds it. */
#define LOG_MODEL_IDENTITY UINT64_C(0x91a2b3c4d5e6f788)

struct log_model {
    struct test_memory memory;
    struct kv_buffer bytes; /* the file */
    struct kv_buffer text;  /* what a reading of the undamaged file gives */
    uint32_t record_count;
    uint32_t sealed_count;                    /* these are durable: a batch was synced after them */
    size_t starts[LOG_MODEL_RECORDS_MAX + 1]; /* of record i + 1; one more: the file's end */
    size_t text_starts[LOG_MODEL_RECORDS_MAX + 1]; /* likewise, in the text */
    uint64_t synced[LOG_MODEL_RECORDS_MAX];        /* what record i + 1 says */
};

/* A log with a header and no records. `model` stays where it is. */
void log_model_init(struct log_model *model);
void log_model_free(struct log_model *model);

/* Adds a record of these operations (none: a mark). It is part of the unsynced batch. */
void log_model_add(struct log_model *model, const struct kv_operation *operations, uint32_t count);

/* Seals the unsynced batch, as if it were written now. Records added later know it as durable. */
void log_model_sync(struct log_model *model);

/* Seals the unsynced batch without making it durable: the last thing done to a model. */
void log_model_seal(struct log_model *model);

/* What a reader must say of `damaged`, `length` bytes, which the model's file became. */
struct log_verdict {
    enum kv_read end;
    uint32_t records; /* read before it */
};
struct log_verdict log_model_judge(const struct log_model *model, const uint8_t *damaged,
                                   size_t length);

/* Reads a log file after its header: appends a line per operation to `ret_text`, answers what ended
 * it. The windows shown to the reader are allocations of the exact size, `slack` bytes longer than
 * it wanted (SIZE_MAX: all there is), so that a sanitizer sees any read outside. Aborts if the
 * reader breaks a promise that holds for any input. */
enum kv_read log_reading_of(const uint8_t *bytes, size_t length, uint64_t identity, size_t slack,
                            struct kv_buffer *ret_text, struct kv_record_reader *ret_reader);

#endif
