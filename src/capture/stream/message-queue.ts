const prefixBytes = 4
const blockBytes = 262_144

type Block = { readonly bytes: Buffer; used: number }

/** The stream's messages in order, as bytes. */
type MessageQueue = {
  /** Copies a message to the end. */
  push(message: Buffer): void
  /** Removes the first message and returns a view, valid until the next `push`. Throws if empty. */
  shift(): Buffer
}

/**
 * Opens a queue in a few large, reused blocks: pending messages cost the bytes that the server sent, and no garbage
 * collection. A decoded row is an object per value, and several times larger.
 */
export function createMessageQueue(): MessageQueue {
  const blocks: Block[] = []
  const spare: Block[] = []
  let readTo = 0

  function dropRead() {
    while (blocks.length > 0 && readTo === blocks[0]!.used) {
      const block = blocks.shift()!
      // A block for a single large message is not kept.
      if (block.bytes.length === blockBytes) spare.push({ bytes: block.bytes, used: 0 })
      readTo = 0
    }
  }

  function blockWithRoomFor(bytes: number): Block {
    const last = blocks.at(-1)
    if (last && last.used + bytes <= last.bytes.length) return last
    const block = (bytes <= blockBytes && spare.pop()) || {
      bytes: Buffer.allocUnsafeSlow(Math.max(bytes, blockBytes)),
      used: 0,
    }
    blocks.push(block)
    return block
  }

  return {
    push(message) {
      dropRead()
      const block = blockWithRoomFor(prefixBytes + message.length)
      block.bytes.writeUInt32BE(message.length, block.used)
      message.copy(block.bytes, block.used + prefixBytes)
      block.used += prefixBytes + message.length
    },

    shift() {
      dropRead()
      const block = blocks[0]
      if (!block || readTo === block.used) throw new Error('there is no message in the queue')
      const from = readTo + prefixBytes
      readTo = from + block.bytes.readUInt32BE(readTo)
      return block.bytes.subarray(from, readTo)
    },
  }
}
