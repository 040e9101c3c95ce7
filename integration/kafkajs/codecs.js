// Snappy and LZ4, which KafkaJS leaves to others.
'use strict'

const { CompressionCodecs, CompressionTypes } = require('kafkajs')
const SnappyCodec = require('kafkajs-snappy')
const lz4 = require('lz4js')
const xxh32 = require('lz4js/xxh32')

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec

// lz4js marks its blocks as depending on each other, which Kafka's own clients do not read. In a frame of one block
// nothing does: say so, and put the header's checksum right.
function independentFrame (frame) {
  frame[4] |= 0x20
  frame[6] = xxh32.hash(0, frame, 4, 2) >> 8
  return Buffer.from(frame)
}

CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => independentFrame(lz4.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer))
})
