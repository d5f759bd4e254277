// Activations one by one: f32, or bf16, the upper half of an f32, rounded to nearest even.
#ifndef AK_NN_ACTIVATION_H
#define AK_NN_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline __attribute__((always_inline)) float get(const void *at, size_t i, bool bf16)
{
    if (!bf16)
        return ((const float *)at)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)at)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline __attribute__((always_inline)) void put(void *at, size_t i, float value, bool bf16)
{
    if (!bf16) {
        ((float *)at)[i] = value;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += 0x7fff + (bits >> 16 & 1);
    ((uint16_t *)at)[i] = (uint16_t)(bits >> 16);
}

// Compiles `call` twice, so that the type is a constant within its loop.
#define BY_TYPE(bf16, call)                                                                        \
    do {                                                                                           \
        if (bf16) {                                                                                \
            enum { BF16 = 1 };                                                                     \
            call;                                                                                  \
        } else {                                                                                   \
            enum { BF16 = 0 };                                                                     \
            call;                                                                                  \
        }                                                                                          \
    } while (0)

#endif
