/*
 * frame.c: one line of a stack in a sanitizer's report:
 *
 *     #1 0x55d0c0de in store /home/me/kv/store.c:120:9
 *     #2 0x55d0beef  (/home/me/build/kv+0x4beef) (BuildId: 1f...)
 *
 * What allocates or copies is the sanitizer's own copy of malloc or memcpy, and the frame below it
 * is the one that a reader looks for: the first that is the program's. Folders and addresses are
 * left out of what is told, so that it is the same on every machine.
 */
#include "campaign.h"

#include <string.h>

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether a frame is the sanitizer's, not the program's. */
static bool is_runtime(const char *name, const char *place)
{
    static const char *const names[] = {"__interceptor_", "___interceptor_", "__asan_",
                                        "__lsan_",        "__tsan_",         "__msan_",
                                        "__ubsan_",       "__sanitizer_",    "__sigsetjmp",
                                        "operator new",   "operator delete"};
    static const char *const places[] = {"libsanitizer/", "compiler-rt/", "/libasan.so",
                                         "/liblsan.so",   "/libtsan.so",  "/libubsan.so"};
    static const char *const whole[] = {"malloc", "calloc",        "realloc",       "reallocarray",
                                        "free",   "aligned_alloc", "posix_memalign"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (begins_with(name, names[i]))
            return true;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strstr(place, places[i]) != NULL)
            return true;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strcmp(name, whole[i]) == 0)
            return true;
    return false;
}

/* What stands after "#1 0x55d0c0de ", or NULL: this is no frame. */
static const char *skip_address(const char *line)
{
    line += strspn(line, " ");
    if (*line != '#' || strspn(line + 1, "0123456789") == 0)
        return NULL;
    line += 1 + strspn(line + 1, "0123456789");
    line += strspn(line, " ");
    if (!begins_with(line, "0x"))
        return NULL;
    line += strcspn(line, " ");
    line += strspn(line, " ");
    return begins_with(line, "in ") ? line + 3 : line;
}

bool orr__frame_read(const char *line, char text[ORR__LINE_MAX])
{
    char name[ORR__LINE_MAX];
    const char *rest = skip_address(line);
    if (rest == NULL)
        return false;
    snprintf(name, sizeof name, "%s", rest);
    char *build = strstr(name, " (BuildId: ");
    if (build != NULL)
        *build = '\0';
    char *place = strrchr(name, ' ');
    if (place != NULL)
        *place++ = '\0';
    else
        place = name;
    const char *only_name = place == name ? "" : name;
    if (is_runtime(only_name, place))
        return false;
    const char *slash = strrchr(place, '/');
    char *base = place + (slash != NULL ? slash + 1 - place : *place == '(');
    base[strcspn(base, ")")] = '\0';
    snprintf(text, ORR__LINE_MAX, "%.120s%s%.120s", only_name, *only_name != '\0' ? " " : "", base);
    return true;
}
