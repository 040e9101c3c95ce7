/*
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches (KIP-98, message format v2). Computed by
 * libisal with the processor's own instructions. crc32c("123456789") is 0xe3069283.
 */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *at, size_t n);

#endif
