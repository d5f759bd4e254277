// The encoder that a command works with.
#ifndef AK_CLI_MODEL_H
#define AK_CLI_MODEL_H

#include "core/describe/model.h"

// The file's, or without one (NULL) the shipped one's. The caller frees it.
ak_status ak_cli_model(ak_model **out, const char *file, ak_error *err);

#endif
