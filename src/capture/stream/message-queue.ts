const prefixBytes = 4
const blockBytes = 262_144

type Block = { readonly bytes: Buffer; used: number }

/** Messages of the stream in the order in which they came, as bytes. */
export type MessageQueue = {
  /** Copies a message to the end of the queue. */
  push(message: Buffer): void
  /** Takes the first message out. What is returned is a view, good until the next `push`. Throws where there is none. */
  shift(): Buffer
}

/**
 * Opens a queue that keeps messages in a few large blocks, and uses a block again once it has been read. What waits
 * to be stored thus costs as many bytes as the server has sent, and nothing that would have to be collected: decoded,
 * a row is an object for each of its values, and takes several times as much.
 */
export function createMessageQueue(): MessageQueue {
  const blocks: Block[] = []
  const spare: Block[] = []
  let readTo = 0

  function dropRead() {
    while (blocks.length > 0 && readTo === blocks[0]!.used) {
      const block = blocks.shift()!
      // One made for a single large message is not kept.
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
