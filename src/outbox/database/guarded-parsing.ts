type Stream = {
  on(event: string, listener: (bytes: Buffer) => void): unknown
  destroy(error: unknown): void
}

/** The used internals of a node-postgres connection. */
type Connection = { attachListeners(stream: Stream): unknown }

/**
 * Ends a connection whose answer can't be parsed, with an error for its statement. node-postgres parses in the socket's
 * listener: a value too large for a string (512 MB) would end the process. `onBytes` is called for each arriving piece.
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
