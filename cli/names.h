// What a file is called in a collection: its id and its name, both from its path.
#ifndef AK_CLI_NAMES_H
#define AK_CLI_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define AK_IMPORT_ID_MAX 128

// The path with '/' written ':' when that is a valid id. Else, that with '_' for every character
// that an id may not hold (and for every byte that is no UTF-8), cut to 115, '-', and the first 12
// hexadecimal digits of the SHA-256 of the path: such an id is the path's alone, too.
void ak_import_id(char out[AK_IMPORT_ID_MAX + 1], const char *path);

// The path as UTF-8: each byte that is none becomes U+FFFD. The caller frees; NULL out of memory.
char *ak_import_name(const char *path);

// The length of the UTF-8 sequence at the start of text (n bytes), 1-4; 0 when it is none: cut
// off, overlong, a surrogate, beyond U+10FFFF.
size_t ak_utf8_length(const char *text, size_t n);

// text for a person's terminal: control characters become '?', so that a name cannot draw on it.
// Bytes that are no UTF-8 do, too. Cut to size - 1 bytes.
void ak_printable(char *out, size_t size, const char *text);

#endif
