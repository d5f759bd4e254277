#include "core/image/hsv.h"

int ak_hsv_bin(uint8_t r, uint8_t g, uint8_t b)
{
    int max = r > g ? r : g, min = r < g ? r : g;
    max = max > b ? max : b;
    min = min < b ? min : b;
    int chroma = max - min;
    int hue = 0, saturation = 0;
    if (chroma) {
        int sixths; // of a turn, in units of chroma
        if (max == r)
            sixths = g - b;
        else if (max == g)
            sixths = 2 * chroma + b - r;
        else
            sixths = 4 * chroma + r - g;
        if (sixths < 0)
            sixths += 6 * chroma;
        hue = sixths * 16 / (6 * chroma); // under 16: the hue is below a whole turn
        saturation = chroma * 4 / max;
        if (saturation > 3)
            saturation = 3;
    }
    return hue * 16 + saturation * 4 + max / 64;
}
