type Stream = {
  on(event: string, listener: (bytes: Buffer) => void): unknown
  destroy(error: unknown): void
}

/** As much of a connection of node-postgres as is changed here. */
type Connection = { attachListeners(stream: Stream): unknown }

/**
 * Ends a connection whose answer cannot be parsed, with the error, which the statement then fails with. node-postgres
 * parses in the socket's listener: a value that no string can hold (512 MB) would otherwise end the whole process. `onBytes`
 * hears of each piece of an answer that arrives.
 */
export function guardParsing(client: object, onBytes: () => void): void {
  const { connection } = client as { connection: Connection }
  const attach = connection.attachListeners.bind(connection)
  connection.attachListeners = stream =>
    attach({
      destroy: error => stream.destroy(error),
      on: (event, listener) =>
        stream.on(
          event,
          event !== 'data'
            ? listener
            : bytes => {
                onBytes()
                try {
                  listener(bytes)
                } catch (error) {
                  stream.destroy(error)
                }
              },
        ),
    })
}
