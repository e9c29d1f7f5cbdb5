/* Ask memory for the line of an address ahead of its use. Where the compiler has no way to say it, nothing is asked. */
#ifndef ECREC_LIB_KERNELS_PREFETCH_H
#define ECREC_LIB_KERNELS_PREFETCH_H

static inline void prefetch(const void *address)
{
#if defined(__GNUC__)
    __builtin_prefetch(address, 0, 3);
#else
    (void)address;
#endif
}

#endif
