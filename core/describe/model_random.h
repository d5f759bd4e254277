// The random-weights baseline is declared with the other makers of models.
#include "core/describe/model_build.h"
