#include "core/refine/yardstick.h"

const char *ak_role_name(ak_role role)
{
    static const char *const names[AK_ROLES] = {"train", "replay", "yardstick", "old-yardstick",
                                                "none"};
    return names[role];
}

double ak_yardstick_threshold(double previous, uint64_t n)
{
    double t = n ? AK_YARDSTICKS_WANTED / (double)n : AK_YARDSTICK_MOST;
    t = t < AK_YARDSTICK_LEAST ? AK_YARDSTICK_LEAST : t > AK_YARDSTICK_MOST ? AK_YARDSTICK_MOST : t;
    return t < previous ? t : previous;
}

double ak_yardstick_u(const ak_sha256 *sum)
{
    uint64_t bits = 0; // 53 of them: as many as a double holds
    for (int i = 0; i < 7; i++)
        bits = bits << 8 | sum->at[i];
    return (double)(bits >> 3) * 0x1p-53;
}

ak_role ak_role_of(const ak_sha256 *sum, double threshold, bool inside, bool trained)
{
    if (ak_yardstick_u(sum) < threshold && !trained)
        return inside ? AK_ROLE_YARDSTICK : AK_ROLE_OLD_YARDSTICK;
    return inside && !trained ? AK_ROLE_TRAIN : AK_ROLE_REPLAY;
}
