/* The ABI: argument checks, then one call into a room. */
#include "ecrec/ecrec.h"

uint32_t ecrec_version(void)
{
    return ECREC_VERSION_MAJOR * 1000000u + ECREC_VERSION_MINOR * 1000u + ECREC_VERSION_PATCH;
}
