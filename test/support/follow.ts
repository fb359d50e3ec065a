/** Reads a stream as it comes, until a text has come since the last call, or to its end. */
export function follow(response: Response) {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let read = ''
  return {
    async readUntil(text: string) {
      while (!read.includes(text)) {
        const { value, done } = await reader.read()
        if (done) throw new Error(`The stream has ended: ${read}`)
        read += value
      }
      read = ''
    },
    async readToEnd() {
      while (!(await reader.read()).done);
    },
    async cancel() {
      await reader.cancel()
    },
  }
}
