// What a client's developer reads: the contract, and a page a problem, from the error table.
#include "server/handlers.h"

#include <stdio.h>
#include <string.h>

// The file is read by the assembler: no generated source, no copy at run time.
__asm__(".section .rodata\n"
        ".global ak_openapi\n"
        ".global ak_openapi_end\n"
        "ak_openapi:\n"
        ".incbin \"api/openapi.yaml\"\n"
        "ak_openapi_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const uint8_t ak_openapi[], ak_openapi_end[];

void ak_handle_openapi(ak_request *r)
{
    ak_respond_fixed(r, 200, "application/yaml",
                     (ak_bytes){ak_openapi, (size_t)(ak_openapi_end - ak_openapi)});
    ak_request_finish(r);
}

// "unknown-collection" is the page of unknown_collection.
static bool page_of(const char *page, const char *code)
{
    for (; *page && *code; page++, code++)
        if (*page != *code && !(*page == '-' && *code == '_'))
            return false;
    return *page == *code;
}

void ak_handle_problem(ak_request *r)
{
    ak_error err = {0};
    const char *page = r->params[0];
    for (int i = AK_OK + 1; i < AK_STATUS_COUNT; i++) {
        if (!page_of(page, ak_status_code((ak_status)i)))
            continue;
        char *text = NULL;
        int n = asprintf(&text,
                         "%s\n\nHTTP status %d, code \"%s\".\n\nThe member \"detail\" of "
                         "the answer says what was wrong and what to change.\n",
                         ak_status_title((ak_status)i), ak_status_http((ak_status)i),
                         ak_status_code((ak_status)i));
        if (n < 0) {
            ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for the page");
            break;
        }
        ak_buf bytes = {(uint8_t *)text, (size_t)n, (size_t)n};
        ak_respond_bytes(r, 200, "text/plain; charset=utf-8", &bytes);
        ak_request_finish(r);
        return;
    }
    if (err.status == AK_OK)
        ak_fail(&err, AK_NOT_FOUND, "there is no problem \"%.64s\"", page);
    ak_request_fail(r, &err);
}
