/* Scripts as the reference's UnicodeScripts sees them. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_SCRIPTS_H
#define ECREC_LIB_TEXT_SCRIPTS_H

#include <stdint.h>

enum { SCRIPT_ANY = 0 };
/* A number for the script of a character; kana are Han, blanks and what has no script SCRIPT_ANY. */
uint32_t script_of(uint32_t c);

#endif
