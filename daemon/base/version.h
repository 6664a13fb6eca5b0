/* The version of the programs, as --version tells it. */
#pragma once

#define DIGESTD_VERSION "0.1"
