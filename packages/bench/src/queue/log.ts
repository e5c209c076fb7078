/** A line as the services log it: whoever started the process waits for `ready`. */
export function log(message: string): void {
  process.stdout.write(`${JSON.stringify({ message })}\n`)
}
