/**
 * Writes messages of pgoutput's protocol version 1, as a server would send them.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export const text = (value: string) => Buffer.from(`${value}\0`)
export const int8 = (value: number) => Buffer.from([value])
export const int16 = (value: number) => Buffer.from([value >> 8, value & 255])
export const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
export const int64 = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

/** A message of this kind, from pieces; a string is written as it is. */
export const message = (tag: string, ...parts: (Buffer | string)[]) =>
  Buffer.concat([
    Buffer.from(tag),
    ...parts.map(part => (typeof part === 'string' ? Buffer.from(part) : part)),
  ])

/** A row's values; undefined stands for an unchanged TOASTed one. */
export const row = (...values: (string | null | undefined)[]) =>
  Buffer.concat([
    int16(values.length),
    ...values.map(value => {
      if (value === null) return Buffer.from('n')
      if (value === undefined) return Buffer.from('u')
      return Buffer.concat([Buffer.from('t'), int32(Buffer.byteLength(value)), Buffer.from(value)])
    }),
  ])

export const begin = (commitLsn: bigint) => message('B', int64(commitLsn), int64(0n), int32(7))
export const commit = (commitLsn: bigint, endLsn: bigint) =>
  message('C', int8(0), int64(commitLsn), int64(endLsn), int64(0n))
export const logicalMessage = (prefix: string, content: string) =>
  message('M', int8(0), int64(7n), text(prefix), int32(content.length), content)
