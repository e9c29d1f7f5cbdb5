#include "text/scripts.h"

#include <stddef.h>

#include "text/scripts_table.h"

uint32_t script_of(uint32_t c)
{
    size_t low = 0, high = sizeof scripts / sizeof *scripts;
    if (c == ' ')
        return SCRIPT_ANY;
    if (c == 0x30FC)
        return SCRIPT_HAN;
    while (low + 1 < high) {
        const size_t middle = (low + high) / 2;
        if (scripts[middle] >> 8 <= c)
            low = middle;
        else
            high = middle;
    }
    const uint32_t script = scripts[low] & 0xFF;
    return script == SCRIPT_HIRAGANA || script == SCRIPT_KATAKANA ? SCRIPT_HAN : script;
}
