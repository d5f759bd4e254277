// The texts of migrations/, embedded by the assembler. A new file is a line here and in its table.
// The compiler does not see what .incbin reads, so the Makefile names the folder as a dependency.
#include "index/migrate.h"

#define EMBED(symbol, file)                                                                        \
    __asm__(".pushsection .rodata\n" #symbol ":\n.incbin \"migrations/" file                       \
            "\"\n.byte 0\n.popsection\n");                                                         \
    extern const char symbol[]

EMBED(ak_sql_0001_catalog, "0001_catalog.sql");
EMBED(ak_sql_0002_generations, "0002_generations.sql");
EMBED(ak_sql_0003_jobs, "0003_jobs.sql");
EMBED(ak_sql_proxies_0001_proxies, "proxies_0001_proxies.sql");

static const ak_migration catalog[] = {
    {1, "catalog", ak_sql_0001_catalog},
    {2, "generations", ak_sql_0002_generations},
    {3, "jobs", ak_sql_0003_jobs},
};
static const ak_migration proxies[] = {
    {1, "proxies", ak_sql_proxies_0001_proxies},
};

const ak_migrations ak_catalog_migrations = {"the catalog", catalog,
                                             sizeof catalog / sizeof *catalog};
const ak_migrations ak_proxies_migrations = {"the proxies' database", proxies, 1};
