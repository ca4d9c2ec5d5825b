/* What every file of tern starts from: the attributes that let the compiler
 * hold us to our own rules, and the functions that nobody may call. */
#ifndef TERN_COMPILER_H
#define TERN_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The caller must look at the result: it says whether the thing was done. */
#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(position, first) __attribute__((__format__(__printf__, position, first)))
#define NO_RETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define NO_INLINE __attribute__((noinline)) /* keeps its locals out of the frame of who calls it */

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Functions that take no bound or hide an error do not compile in tern
 * (house style: "security is structure"). */
#if !defined(TERN_ALLOW_BANNED)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#pragma GCC poison strcpy strcat sprintf vsprintf gets atoi atol atoll atof strtok strncpy strncat popen tmpnam mktemp
#endif

#endif
