#include "cli/value.h"

#include "base/container.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORD_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_-"

static bool begins(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* Past what may follow a word: "[:MICROSECONDS]", or an aside at the end in parentheses. */
static const char *skip_aside(const char *text)
{
    if (*text == '[' && strchr(text, ']'))
        text = strchr(text, ']') + 1;
    return begins(text, " (") ? strchr(text, '\0') : text;
}

/* Past what separates two words; NULL if that is something else. */
static const char *skip_separator(const char *text)
{
    static const char *const separators[] = { "|", ", ", " or " };

    for (size_t i = 0; i < COUNT_OF(separators); i++)
        if (begins(text, separators[i]))
            return text + strlen(separators[i]);
    return NULL;
}

/* Reads "fixed|poisson" and "auto, block or spin[:TIME]"; false if text is no such list. */
static bool read_words(const char *text, char words[PP_CLI_WORDS_BYTES])
{
    size_t used = 0;
    unsigned count = 0;

    while (text) {
        const size_t bytes = strspn(text, WORD_LETTERS);

        if (!islower((unsigned char)*text) || used + bytes + 2 > PP_CLI_WORDS_BYTES)
            return false;
        used += (size_t)snprintf(words + used, PP_CLI_WORDS_BYTES - used, "%s%.*s",
                                 count ? " " : "", (int)bytes, text);
        count++;
        text = skip_aside(text + bytes);
        if (!*text)
            return count > 1;
        text = skip_separator(text);
    }
    return false;
}

static enum pp_cli_value_kind kind_of(const struct pp_cli_option *option,
                                      struct pp_cli_value *value)
{
    if (read_words(value->name, value->words) || read_words(option->takes, value->words))
        return PP_CLI_VALUE_WORDS;
    value->words[0] = '\0';
    if (strcmp(value->name, "FILE") == 0 || begins(value->name, "FILE."))
        return PP_CLI_VALUE_FILE;
    if (strcmp(value->name, "HOST") == 0 || strcmp(value->name, "ADDRESS") == 0)
        return PP_CLI_VALUE_ADDRESS;
    return PP_CLI_VALUE_ANY;
}

struct pp_cli_value pp_cli_value_of(const struct pp_cli_option *option)
{
    struct pp_cli_value value = { .kind = PP_CLI_VALUE_NONE };
    const char *name = option->value;

    if (!name)
        return value;
    value.optional = pp_cli_value_is_optional(option);
    name += value.optional;
    (void)snprintf(value.name, sizeof value.name, "%s", name);
    if (value.optional)
        value.name[strcspn(value.name, "]")] = '\0';
    value.kind = kind_of(option, &value);
    return value;
}
