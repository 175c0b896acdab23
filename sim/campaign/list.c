/*
 * list.c: the verb `list`: scenarios, their parameters, defaults and allowed values.
 */
#include "campaign.h"

static void print_parameter(const struct orr_parameter *parameter)
{
    printf("    %s=%s", parameter->name, parameter->value);
    if (parameter->summary != NULL)
        printf("  %s", parameter->summary);
    if (parameter->allowed != NULL)
        printf("\n        one of %s", parameter->allowed);
    putchar('\n');
}

static void print_scenario(const struct orr_scenario *scenario, void *context)
{
    bool *any = context;
    *any = true;
    printf("%s", scenario->name);
    if (scenario->summary != NULL)
        printf(": %s", scenario->summary);
    putchar('\n');
    const struct orr_parameter *parameter = scenario->parameters;
    for (; parameter != NULL && parameter->name != NULL; parameter++)
        print_parameter(parameter);
}

static void print_json(const struct orr_scenario *scenario, void *context)
{
    bool *any = context;
    *any = true;
    orr__json_scenario(scenario);
}

int orr__list(struct orr__command *command)
{
    bool any = false;
    orr__scenarios_visit(command, command->json ? print_json : print_scenario, &any);
    if (!any && !command->json)
        puts("There are no scenarios: --load FILE.so brings some.");
    if (any && !command->json) {
        fputs("\nTo run one, with other values than these if you like:\n  ", stdout);
        orr__text_quote(stdout, command->program);
        puts(" run SCENARIO [name=value ...]");
    }
    int status = orr__flush();
    return status < 0 ? orr__write_error(command, status) : ORR__EXIT_CLEAN;
}
