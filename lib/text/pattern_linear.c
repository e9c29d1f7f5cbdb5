#include "text/pattern_linear.h"

#include "text/image.h"

enum { LENGTH = 192, MOST_STEPS = 8 * LENGTH, SHAPES = 4 };

/* The class of the i-th character of a shape of a and b. */
static uint32_t character(int shape, uint32_t a, uint32_t b, size_t i)
{
    switch (shape) {
    case 0:
        return i % 2 == 0 ? a : b;
    case 1:
        return i == 0 ? a : b;
    case 2:
        return i + 1 == LENGTH ? a : b;
    default:
        return i % 4 < 2 ? a : b;
    }
}

/* Steps that finding all matches takes; more than MOST_STEPS: stopped. */
static size_t steps(const automaton *m, int shape, uint32_t a, uint32_t b)
{
    const size_t columns = (size_t)m->classes + 1;
    size_t context = 0; /* at from */
    size_t taken = 0, from = 0, last_at = 0, last_state = 0; /* as pattern.c does it */
    while (from < LENGTH && taken <= MOST_STEPS) {
        size_t at = from, end = from, state = m->begins[context], before = 0, own_at = 0, own_state = 0;
        int found = 0;
        for (;;) {
            const uint32_t column = at < LENGTH ? character(shape, a, b, at) : m->classes;
            const unsigned move = m->moves[state * columns + column];
            if (move & PATTERN_MATCH) {
                end = at;
                found = 1;
            }
            state = move & ~PATTERN_MATCH;
            taken++;
            if (state == 0 || at == LENGTH)
                break;
            at++;
            if (at == from + 2) {
                own_at = at;
                own_state = state;
                if (!found && last_state != 0 && last_at == at - 1 && last_state == before)
                    break;
            }
            before = state;
        }
        last_at = !found ? own_at : 0;
        last_state = !found ? own_state : 0;
        for (end = end > from ? end : from + 1; from < end; from++)
            context = m->between[context * m->classes + (from < LENGTH ? character(shape, a, b, from) : 0)];
    }
    return taken;
}

int pattern_is_linear(const automaton *m)
{
    for (uint32_t a = 0; a < m->classes; a++)
        for (uint32_t b = 0; b < m->classes; b++)
            for (int shape = 0; shape < SHAPES; shape++)
                if (steps(m, shape, a, b) > MOST_STEPS)
                    return 0;
    return 1;
}
