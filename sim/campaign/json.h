/*
 * json.h: for who writes JSON with jansson: values of any text and number. Not while seeds run, for
 * jansson allocates, see campaign.h.
 */
#ifndef ORR_SIM_CAMPAIGN_JSON_H
#define ORR_SIM_CAMPAIGN_JSON_H

#include "campaign.h"

#include <jansson.h>

/* Stops at 2^63 - 1. */
json_t *orr__json_number(uint64_t value);
/* Of any bytes: what is not UTF-8 becomes '?'. */
json_t *orr__json_text(const char *text);
/* Every parameter of the job's scenario, with its value. */
json_t *orr__json_parameters(const struct orr__job *job);
/* Writes the object as a line, with the seed in front, and frees it. */
void orr__json_write(json_t *object, uint64_t seed);

#endif
