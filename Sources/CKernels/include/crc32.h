#pragma once
#include <stdint.h>

/// Continues the CRC-32 of IEEE 802.3 (as zlib's `crc32`) over `count` more bytes; the CRC of nothing is 0.
uint32_t crc32_update(uint32_t crc, const void *bytes, intptr_t count);
