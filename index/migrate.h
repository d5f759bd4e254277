// Migrations: the steps that bring a database to the schema that this binary knows.
//
// They are the files migrations/NNNN_name.sql, embedded, applied in order, each in a transaction of
// its own, and recorded with their SHA-256 in the database's table `migrations`.
#ifndef AK_INDEX_MIGRATE_H
#define AK_INDEX_MIGRATE_H

#include "index/sql.h"

typedef struct {
    int number;
    const char *name, *sql;
} ak_migration;

typedef struct {
    const char *what; // for messages: "the catalog"
    const ak_migration *steps;
    size_t n;
} ak_migrations;

extern const ak_migrations ak_catalog_migrations, ak_proxies_migrations;

// Applies what is missing. AK_CONFLICT when the database knows a step that this binary does not
// (a newer Akin wrote it), AK_CORRUPT when a step was applied in other words than ours.
ak_status ak_migrate(ak_sql *db, const ak_migrations *migrations, ak_error *err);

#endif
