/*
 * afl.c: the mutator as AFL++ loads it, AFL_CUSTOM_MUTATOR_LIBRARY=liborrery-afl.so: the same steps
 * as under libFuzzer (mutate.c).
 *
 * AFL++ mutates in a process of its own. The lanes that a run draws from come through a file
 * without a name that the target maps, too: its path stands in the environment before AFL++ starts
 * the target.
 */
#define _GNU_SOURCE 1 /* memfd_create */

#include "mutate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct mutator {
    struct orr__offers *offers;
    uint64_t random;
    uint8_t *bytes; /* of the last result: AFL++ reads them until it asks again */
    size_t room;
};

enum { CROSS_ONE_IN = 4 };

ORR_API void *afl_custom_init(void *afl, unsigned int seed);
ORR_API size_t afl_custom_fuzz(struct mutator *mutator, uint8_t *input, size_t size,
                               uint8_t **ret_bytes, uint8_t *other, size_t other_size,
                               size_t size_max);
ORR_API void afl_custom_deinit(struct mutator *mutator);

/* Memory that the target will find, or NULL. */
static struct orr__offers *share_offers(void)
{
    char path[64];
    struct orr__offers *offers;
    int file = memfd_create("orrery-offers", 0);
    if (file < 0 || ftruncate(file, sizeof *offers) < 0)
        return NULL;
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getpid(), file);
    offers = mmap(NULL, sizeof *offers, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (offers == MAP_FAILED || setenv(ORR__OFFERS_VARIABLE, path, 1) < 0)
        return NULL;
    return offers;
}

void *afl_custom_init(void *afl, unsigned int seed)
{
    struct mutator *mutator = calloc(1, sizeof *mutator);
    (void)afl;
    if (mutator == NULL)
        return NULL;
    mutator->random = (uint64_t)seed << 32;
    mutator->offers = share_offers();
    if (mutator->offers == NULL)
        mutator->offers = calloc(1, sizeof *mutator->offers);
    if (mutator->offers != NULL)
        return mutator;
    free(mutator);
    return NULL;
}

size_t afl_custom_fuzz(struct mutator *mutator, uint8_t *input, size_t size, uint8_t **ret_bytes,
                       uint8_t *other, size_t other_size, size_t size_max)
{
    size_t room = size > size_max ? size : size_max;
    uint64_t random = mutator->random++;
    *ret_bytes = NULL;
    if (mutator->room < room) {
        uint8_t *larger = realloc(mutator->bytes, room);
        if (larger == NULL)
            return 0;
        mutator->bytes = larger;
        mutator->room = room;
    }
    *ret_bytes = mutator->bytes;
    if (other != NULL && other_size > 0 && orr__mix(random, CROSS_ONE_IN) % CROSS_ONE_IN == 0)
        return orr__cross(input, size, other, other_size, mutator->bytes, size_max, random);
    memcpy(mutator->bytes, input, size);
    return orr__mutate(mutator->offers, mutator->bytes, size, size_max, random);
}

void afl_custom_deinit(struct mutator *mutator)
{
    free(mutator->bytes);
    free(mutator);
}
