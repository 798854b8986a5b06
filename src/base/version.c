#include "base/version.h"

const char lm_version[] = LM_VERSION; /* from meson.build, which reads the header */
