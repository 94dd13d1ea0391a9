/* The bodies and nothing else. With -DMTASTS_STATIC: a copy of which nothing may be seen outside.
 */
#if !defined(MTASTS_STATIC)
#define MTASTS_IMPLEMENTATION
#endif
#include "mtasts.h"
