// The shipped encoder, taken into the binary by the assembler: models/akin.model, from the
// project's root. An empty file stands for none.
#include "cli/cli.h"

__asm__(".section .rodata\n"
        ".balign 64\n"
        "ak_shipped_begin:\n"
        ".incbin \"models/akin.model\"\n"
        "ak_shipped_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const uint8_t ak_shipped_begin[], ak_shipped_end[];

ak_bytes ak_shipped_model(void)
{
    return (ak_bytes){ak_shipped_begin, (size_t)(ak_shipped_end - ak_shipped_begin)};
}
