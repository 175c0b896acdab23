/*
 * history_text.h: histories of a register as text, one word for each begin and each end:
 *
 *      0(w5     client 0 begins to write 5          0)       client 0's call returns
 *      1(r      client 1 begins to read             1)5      client 1's read returns 5
 *      2(w5@7   the same of key 7 (else key 0)      2?       client 2 gives its call up
 *
 * Each word is one moment, one millisecond after the last.
 */
#ifndef TESTS_SIM_HISTORY_TEXT_H
#define TESTS_SIM_HISTORY_TEXT_H

#include <orrery/linearizable.h>

/* The history that the text says, of a register. The caller destroys it. */
struct orr_history *history_of(const char *text);

/* The verdict on the history that the text says. */
enum orr_verdict verdict_of(const char *text);

#endif
