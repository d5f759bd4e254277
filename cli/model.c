#include "cli/model.h"

#include "cli/cli.h"

ak_status ak_cli_model(ak_model **out, const char *file, ak_error *err)
{
    *out = NULL;
    if (file)
        return ak_model_load(out, file, err);
    ak_bytes shipped = ak_shipped_model();
    if (!shipped.n)
        return ak_fail(err, AK_UNKNOWN_MODEL,
                       "no encoder was built into this akin; name one by "
                       "--model FILE");
    return ak_model_read(out, shipped, err);
}
