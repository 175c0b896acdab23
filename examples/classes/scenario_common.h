/*
 * scenario_common.h: what the scenarios of this folder share: which faults a parameter takes away.
 *
 * Every planted bug here needs faults of one kind to be seen. `without` names a kind, and without
 * it the bug must not show: that is how one knows that it is those faults which find it.
 */
#ifndef CLASSES_SCENARIO_COMMON_H
#define CLASSES_SCENARIO_COMMON_H

#include <orrery/sim.h>

/* Takes the faults away that the scenario's parameter `without` names. Call it before the first
 * node is made. */
void classes_set_rates(struct orr_world *world);

/* Whether the parameter `without` is that word, for what a scenario does by itself. */
bool classes_is_without(struct orr_world *world, const char *word);

/* Whether the parameter `bug` is that word. */
bool classes_has_bug(struct orr_world *world, const char *word);

#endif
